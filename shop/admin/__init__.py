"""How the admin is wired: what the pages of every context are made of, as :mod:`shop.api` is for DRF.

It knows no context and no messaging; its templates are in :mod:`shop.console`, which is the app.
"""
