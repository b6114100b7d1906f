"""Authentication by token, the member that a user is, and the permission that a view needs."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from django.conf import settings
from django.contrib.auth.models import AnonymousUser, User
from rest_framework import authentication, exceptions, permissions
from rest_framework.authtoken.models import Token
from rest_framework.request import Request

from shop.api.throttling import address_of
from shop.errors import DomainError
from shop.logs import get_logger
from shop.throttling import Limit, admit

if TYPE_CHECKING:
    from rest_framework.views import APIView  # DRF's views load what is here: see REST_FRAMEWORK in the settings


log = get_logger(__name__)


class TokenAuthentication(authentication.TokenAuthentication):
    """``Authorization: Token …``. Token, user and member come in one query.

    Tokens cannot be guessed, 160 bits each; wrong ones are counted by address, so that a script stops and the log stays
    readable. A right one always opens: others may be behind the same address.
    """

    def authenticate(self, request: Request) -> tuple[User, Token] | None:
        try:
            return super().authenticate(request)
        except exceptions.AuthenticationFailed:
            address = address_of(request)
            if wait := admit(Limit(f"tokens:{address}", settings.WRONG_TOKENS_PER_ADDRESS)):
                raise exceptions.Throttled(wait) from None
            log.warning("token refused", address=address)
            raise

    def authenticate_credentials(self, key: str) -> tuple[User, Token]:
        token = Token.objects.select_related("user__member").filter(key=key).first()
        if token is None or not token.user.is_active:
            raise exceptions.AuthenticationFailed("This token is not valid, or its user is deactivated.")
        return token.user, token


class NotAMember(DomainError):
    """Only members can place orders; not every user is a member."""

    code = "not_a_member"
    status = 403


def member_id_of(user: User | AnonymousUser) -> int:
    """Return the id of the user's member. :raises NotAMember:"""
    member = getattr(user, "member", None)
    if member is None:
        raise NotAMember(
            f"User {user.get_username()!r} is not a member: "
            "use a member's token, or ask staff to make this user a member."
        )
    return int(member.pk)


class HasNeeded(permissions.IsAuthenticated):
    """Requires the Django permission that the view's ``needs`` names for the request's method."""

    def has_permission(self, request: Request, view: "APIView") -> bool:
        if not super().has_permission(request, view):
            return False
        needs: Mapping[str, str] = view.needs  # type: ignore[attr-defined]
        needed = needs.get({"HEAD": "GET"}.get(request.method or "", request.method or ""))
        if needed and not request.user.has_perm(needed):
            raise exceptions.PermissionDenied(f"This requires the permission {needed}: ask for a role that has it.")
        return True
