"""DRF wiring that all contexts share: authentication, bodies, idempotency, pagination, errors.

Views validate, make one domain call, and represent.
"""
