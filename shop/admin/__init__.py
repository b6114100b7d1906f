"""What the admin pages of all contexts share, as :mod:`shop.api` is for DRF.

It knows no context and no messaging; its templates are in :mod:`shop.console`, which is the app.
"""
