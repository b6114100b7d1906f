"""Signing in with a password: whoever fails too often waits, and each failure is one line in the log.

Every attempt is counted *before* the password is looked at, and taken back when somebody is signed in: of many
guesses at the same instant no more are looked at than of as many in turn. It counts for the user name from this
address, for the user name from everywhere, and for the address.
"""

import math
from typing import Any

from django.conf import settings
from django.contrib import admin
from django.contrib.auth.models import AbstractBaseUser
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpRequest, HttpResponseBase
from unfold.forms import AuthenticationForm

from shop.logs import get_logger
from shop.throttling import Limit, admit, key_of_address, key_of_text, take_back

log = get_logger(__name__)


class AttemptLimit:
    """An authentication backend that signs nobody in: first in the list, it stops who tries too often.

    Whatever calls ``django.contrib.auth.authenticate`` with a request is limited by it.
    """

    def authenticate(self, request: HttpRequest | None, username: str | None = None, **credentials: Any) -> None:
        """Count the attempt. :raises PermissionDenied: if there were too many; Django then asks no other backend."""
        if request is None or username is None:
            return
        limits = limits_of(username, request)
        if wait := admit(*limits):
            request.sign_in_wait = wait  # type: ignore[attr-defined]
            raise PermissionDenied
        request.sign_in_limits = limits  # type: ignore[attr-defined]


def limits_of(username: str, request: HttpRequest) -> tuple[Limit, ...]:
    name, address = key_of_text(username), key_of_address(_address(request))
    return (
        Limit(f"signin:{name}:{address}", settings.SIGN_IN_FAILURES),
        Limit(f"signin:name:{name}", settings.SIGN_IN_FAILURES_PER_NAME),
        Limit(f"signin:address:{address}", settings.SIGN_IN_FAILURES_PER_ADDRESS),
    )


def _address(request: HttpRequest) -> str:
    address: str = request.META.get("REMOTE_ADDR", "")
    return address


# --- Receivers of Django's signals, connected in apps.py ------------------------------------------


def take_back_attempt(request: HttpRequest | None, **kwargs: Any) -> None:
    """Somebody was signed in: the attempt is no failure."""
    take_back(*getattr(request, "sign_in_limits", ()))


def log_failure(credentials: dict[str, Any], request: HttpRequest | None = None, **kwargs: Any) -> None:
    if request is not None:
        wait = getattr(request, "sign_in_wait", None)
        _log(request, credentials.get("username"), "password" if wait is None else "too many attempts")


def _log(request: HttpRequest, username: str | None, reason: str) -> None:
    log.warning("sign-in failed", user=(username or "")[:150], address=_address(request), reason=reason)


# --- The page -------------------------------------------------------------------------------------


class SignInForm(AuthenticationForm):  # type: ignore[misc]  # unfold has no types
    """The admin's, which tells who must wait for how long."""

    def get_invalid_login_error(self) -> ValidationError:
        if wait := getattr(self.request, "sign_in_wait", None):
            return ValidationError(
                f"Too many failed attempts. Try again in {in_words(wait)}.", code="too_many_attempts"
            )
        error: ValidationError = super().get_invalid_login_error()
        return error

    def confirm_login_allowed(self, user: AbstractBaseUser) -> None:
        """The password is right, but does not open the admin; the page does not tell the difference."""
        try:
            super().confirm_login_allowed(user)
        except ValidationError:
            _log(self.request, user.get_username(), "not staff, or deactivated")
            raise


def sign_in(request: HttpRequest) -> HttpResponseBase:
    """Answer the admin's sign-in page, with 429 and Retry-After where somebody must wait."""
    response = admin.site.login(request)
    if wait := getattr(request, "sign_in_wait", None):
        response.status_code = 429
        response["Retry-After"] = str(math.ceil(wait))
    return response


def in_words(seconds: float) -> str:
    """Return a time to wait, never shorter than it is: ``45 s`` or ``15 minutes``."""
    return f"{math.ceil(seconds)} s" if seconds <= 90 else f"{math.ceil(seconds / 60)} minutes"
