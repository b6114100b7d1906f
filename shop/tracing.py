"""The trace of a request is the trace of what comes of it: ``traceparent`` is kept on the events it records."""

import re
from collections.abc import Callable

from django.http import HttpRequest, HttpResponseBase

from shop.messaging.headers import because_of

# W3C Trace Context, version 00; a later version may add fields at the end.
_traceparent = re.compile(
    r"(?P<version>[0-9a-f]{2})-(?P<trace>[0-9a-f]{32})-(?P<parent>[0-9a-f]{16})-[0-9a-f]{2}(?P<more>-[\x21-\x7e]*)?"
)

LONGEST = 255  # characters


class TraceContext:
    """Middleware. A ``traceparent`` that is not well formed is ignored, as the W3C recommendation says."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        header = request.headers.get("traceparent", "")
        if not is_traceparent(header):
            return self.get_response(request)
        with because_of({"traceparent": header}):
            return self.get_response(request)


def is_traceparent(text: str) -> bool:
    """Whether ``text`` is a trace context with a trace and a parent, neither all zeros."""
    found = _traceparent.fullmatch(text) if len(text) <= LONGEST else None
    if found is None or found["version"] == "ff" or (found["version"] == "00" and found["more"]):
        return False
    return bool(found["trace"].strip("0") and found["parent"].strip("0"))
