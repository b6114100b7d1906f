"""How long a statement may take, by the kind of process: web requests short, workers longer, the rest without end.

Somebody waits for a web request: a connection that one opens waits for a lock for ``WEB_LOCK_TIMEOUT`` at most, and
runs a statement for ``WEB_STATEMENT_TIMEOUT``. The request is then answered 503, with Retry-After, and nothing is
half done. A worker's statement ends after ``WORKER_STATEMENT_TIMEOUT``, before the worker is killed for it; that is
transient, and tried again. Migrations, commands and the audit have no limit: ``CONNECTION_OPTIONS`` of the settings.

The limits are set once for each connection, which its thread keeps.
"""

from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

from django.conf import settings
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created
from django.http import HttpRequest, HttpResponseBase

Limits = dict[str, float]
"""Seconds by PostgreSQL's name of the time-out."""

_of_request: ContextVar[Limits | None] = ContextVar("limits_of_request", default=None)
_of_process: Limits = {}


class WebTimeLimits:
    """Middleware. Limits the connections that are opened while a request is answered."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response
        connection_created.connect(_limit, dispatch_uid="shop.time_limits")

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        limits = {"lock_timeout": settings.WEB_LOCK_TIMEOUT, "statement_timeout": settings.WEB_STATEMENT_TIMEOUT}
        token = _of_request.set(limits)
        try:
            return self.get_response(request)
        finally:
            _of_request.reset(token)


def limit_worker() -> None:
    """Limit every connection that this process, or a child of it, opens from now on: it is a worker."""
    _of_process["statement_timeout"] = settings.WORKER_STATEMENT_TIMEOUT
    connection_created.connect(_limit, dispatch_uid="shop.time_limits")


def _limit(connection: BaseDatabaseWrapper, **kwargs: Any) -> None:
    limits = _of_request.get() or _of_process
    if limits:
        calls = ", ".join(["set_config(%s, %s, false)"] * len(limits))
        values = [text for name, seconds in limits.items() for text in (name, f"{seconds * 1000:.0f}ms")]
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT {calls}", values)
