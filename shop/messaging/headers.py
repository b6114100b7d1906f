"""Why an event was recorded: the headers that every event recorded in a scope carries.

``causation`` is the event that is being reacted to (``source/position``); ``traceparent`` is the W3C
trace context of the request that began it all, handed on from event to event.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from types import MappingProxyType

_headers: ContextVar[Mapping[str, str]] = ContextVar("headers", default=MappingProxyType({}))


def current_headers() -> Mapping[str, str]:
    """Return the headers that an event recorded now is to carry."""
    return _headers.get()


def reacting_to(headers: Mapping[str, str]) -> None:
    """Record events with these headers from here on, in this thread or task."""
    _headers.set(headers)


@contextmanager
def because_of(headers: Mapping[str, str]) -> Iterator[None]:
    """Record events with these headers inside the block."""
    token = _headers.set(headers)
    try:
        yield
    finally:
        _headers.reset(token)
