"""How often the API may be asked, by a member and from an address.

::

    @limited("orders")
    def post(self, request: Request) -> Response: ...

Lists are limited as ``searches`` by themselves. The rates are settings, such as ``ORDERS_PER_MEMBER``. Who asks too
often is answered 429 with ``Retry-After``, and nothing is done.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from django.conf import settings
from rest_framework import throttling
from rest_framework.request import Request

from shop.throttling import Limit, admit, key_of_address

if TYPE_CHECKING:
    from rest_framework.views import APIView  # DRF's views load what is here: see REST_FRAMEWORK in the settings

F = TypeVar("F", bound=Callable[..., Any])


def limited(kind: str) -> Callable[[F], F]:
    """Limit a view's method: ``kind`` is the beginning of the settings' names, in lower case."""

    def mark(method: F) -> F:
        method.limited_as = kind  # type: ignore[attr-defined]
        return method

    return mark


class Throttle(throttling.BaseThrottle):
    """One round trip to the cache for each request of a kind that is limited, and none for others."""

    seconds: float = 0

    def allow_request(self, request: Request, view: "APIView") -> bool:
        kind = kind_of(request, view)
        if kind is None:
            return True
        address = Limit(f"{kind}:address:{address_of(request)}", getattr(settings, f"{kind.upper()}_PER_ADDRESS"))
        user = request.user.pk
        of_member = getattr(settings, f"{kind.upper()}_PER_MEMBER") if user else None
        member = Limit(f"{kind}:member:{user}", of_member)
        self.seconds = admit(member, address)
        return not self.seconds

    def wait(self) -> float:
        return self.seconds


def kind_of(request: Request, view: "APIView") -> str | None:
    """Return what the request counts as, if it is limited."""
    method = getattr(view, (request.method or "").lower(), None)
    kind: str | None = getattr(method, "limited_as", None)
    is_list = request.method in ("GET", "HEAD") and hasattr(view, "list")
    return kind or ("searches" if is_list else None)


def address_of(request: Request) -> str:
    return key_of_address(request.META.get("REMOTE_ADDR", ""))
