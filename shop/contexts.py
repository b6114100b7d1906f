"""The contexts of the shop: the one place where a context is added.

Everything else derives from the apps named here, their :class:`~shop.messaging.contexts.ContextConfig` and the
models that they have: databases and their settings, queues, beat's schedule, workers of the local stack, roles,
the admin's sidebar and its pages for the machinery.
"""

APPS = ["orders", "inventory", "shop.catalogue", "shop.marketing", "shop.members", "readmodel"]  # the sidebar's order

USERS = "shop.members"  # whose database is Django's "default", with users, tokens and sessions


def databases() -> dict[str, str]:
    """Return the database alias of each context, by its name: the last part of its app's, and its label."""
    return {label_of(app): "default" if app == USERS else label_of(app) for app in APPS}


def label_of(app: str) -> str:
    """Return the name of the context that an app is, such as ``catalogue`` for ``shop.catalogue``."""
    return app.rpartition(".")[2]
