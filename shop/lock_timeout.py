"""How long a web request waits for a lock: shorter than a worker, since somebody waits for the answer.

A worker's connections have the ``lock_timeout`` of the settings; what waits longer is tried again, later. Those
that a web request opens get ``WEB_LOCK_TIMEOUT``: the request is then answered 503, with Retry-After, and
nothing is half done. It is set once for each connection, which its thread keeps.
"""

from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

from django.conf import settings
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created
from django.http import HttpRequest, HttpResponseBase

_in_request: ContextVar[bool] = ContextVar("in_request", default=False)


class WebLockTimeout:
    """Middleware. Limits the connections that are opened while a request is answered."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response
        connection_created.connect(limit, dispatch_uid="shop.lock_timeout")

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        token = _in_request.set(True)
        try:
            return self.get_response(request)
        finally:
            _in_request.reset(token)


def limit(connection: BaseDatabaseWrapper, **kwargs: Any) -> None:
    """Set a new connection's ``lock_timeout``, if a request opened it."""
    if _in_request.get():
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT set_config('lock_timeout', %s, false)", [f"{settings.WEB_LOCK_TIMEOUT * 1000:.0f}ms"]
            )
