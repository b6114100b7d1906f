"""One line for each request that was answered: who asked for what, how it ended, and how long it took.

    2026-11-24T21:12:09Z INFO shop.access: request address=192.0.2.7 user=4 method=POST path=/api/orders/ status=202 …

The path is as in the request line, without its query, whose values may be secrets. A refusal is a line like any
other: nothing else is logged for it. Health checks are logged at DEBUG. ``ACCESS_LOG`` turns it off.
"""

import logging
from collections.abc import Callable
from time import perf_counter
from typing import Any

from django.conf import settings
from django.core.exceptions import MiddlewareNotUsed
from django.http import HttpRequest, HttpResponseBase
from django.utils.encoding import escape_uri_path
from django.utils.functional import empty

from shop.tracing import is_traceparent

HEALTH = ("/livez", "/readyz")
LONGEST = 300  # characters of a path that are logged

log = logging.getLogger("shop.access")  # of its own form: see FieldsFormatter


class AccessLog:
    """Middleware, the first: it sees every request, and how long all of it took."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        if not settings.ACCESS_LOG:
            raise MiddlewareNotUsed("ACCESS_LOG is off")
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        began = perf_counter()
        response = self.get_response(request)
        header = request.META.get("HTTP_TRACEPARENT", "")
        log_access(
            method=request.method or "",
            path=request.path,
            status=response.status_code,
            address=request.META.get("REMOTE_ADDR", ""),
            seconds=perf_counter() - began,
            user=user_of(request),
            size=size_of(response),
            trace=header[3:35] if header and is_traceparent(header) else None,
        )
        return response


def log_access(
    *,
    method: str,
    path: str,
    status: int,
    address: str,
    seconds: float,
    user: int | None = None,
    size: int | None = None,
    trace: str | None = None,
) -> None:
    """Log a request that was answered, also one that never reached Django, such as a body that was too large.

    :param path: decoded, without the query.
    :param seconds: from the request's arrival to its answer.
    :param user: the id of the user who asked, if known.
    :param size: bytes of the answer's body; ``None`` if it is streamed.
    :param trace: the trace id that the client gave, 32 hexadecimal digits.
    """
    if not settings.ACCESS_LOG:
        return
    level = logging.DEBUG if path in HEALTH else logging.INFO
    if not log.isEnabledFor(level):
        return
    fields: dict[str, Any] = {
        "address": address,
        "user": user,
        "method": method,
        "path": escape_uri_path(path[:LONGEST].encode(errors="replace").decode()),
        "status": status,
        "ms": round(seconds * 1000, 1),
        "bytes": size,
        "trace": trace,
    }
    log.log(level, "request", {name: value for name, value in fields.items() if value is not None})


def user_of(request: HttpRequest) -> int | None:
    """Return the id of the user who was authenticated; ``None`` if nobody was, or nobody had to be asked."""
    user: Any = getattr(request, "user", None)
    if getattr(user, "_wrapped", None) is empty:  # not asked for yet: that would take a query
        return None
    return getattr(user, "pk", None)


def size_of(response: HttpResponseBase) -> int | None:
    """Return the bytes of the answer's body; ``None`` if it is streamed."""
    length = response.headers.get("Content-Length")
    if length is not None:
        return int(length)
    return None if response.streaming else len(response.content)  # type: ignore[attr-defined]
