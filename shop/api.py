"""DRF wiring, the same for every context: who is asking, what a body may say, pages, errors.

Views validate, make one domain call, and represent.
"""

import json
import logging
import math
import re
from collections.abc import Iterator, Mapping
from typing import IO, TYPE_CHECKING, Any

from django.conf import settings
from django.contrib.auth.models import AnonymousUser, User
from django.core.exceptions import PermissionDenied as DjangoPermissionDenied
from django.core.exceptions import RequestDataTooBig
from django.core.exceptions import ValidationError as DjangoValidationError
from django.db import DataError, InterfaceError, OperationalError
from django.db.models import QuerySet
from django.http import Http404
from rest_framework import authentication, exceptions, pagination, parsers, permissions, serializers
from rest_framework.authtoken.models import Token
from rest_framework.exceptions import APIException, ErrorDetail, ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from shop import problems
from shop.errors import DomainError
from shop.values import SKU_RULE, is_sku

if TYPE_CHECKING:
    from rest_framework.views import APIView  # DRF's views load what is here: see REST_FRAMEWORK in the settings

log = logging.getLogger(__name__)

RETRY_AFTER = "2"  # seconds after which a request that met a database that is away may be tried again

# --- Who is asking --------------------------------------------------------------------------------


class TokenAuthentication(authentication.TokenAuthentication):
    """``Authorization: Token …``. Token, user and member come in one query."""

    def authenticate_credentials(self, key: str) -> tuple[User, Token]:
        token = Token.objects.select_related("user__member").filter(key=key).first()
        if token is None or not token.user.is_active:
            raise exceptions.AuthenticationFailed("This token is unknown, or its user is deactivated.")
        return token.user, token


class NotAMember(DomainError):
    """Only members buy; a user need not be one."""

    code = "not_a_member"
    status = 403


def member_id_of(user: User | AnonymousUser) -> int:
    """The id of the member that the user is. :raises NotAMember:"""
    member = getattr(user, "member", None)
    if member is None:
        raise NotAMember(f"User {user.get_username()!r} is not a member: use a member's token, or have it made one.")
    return int(member.pk)


class HasNeeded(permissions.IsAuthenticated):
    """The user holds the Django permission that the view's ``needs`` names for the method."""

    def has_permission(self, request: Request, view: "APIView") -> bool:
        if not super().has_permission(request, view):
            return False
        needs: Mapping[str, str] = view.needs  # type: ignore[attr-defined]
        needed = needs.get({"HEAD": "GET"}.get(request.method or "", request.method or ""))
        if needed and not request.user.has_perm(needed):
            raise exceptions.PermissionDenied(f"This needs the permission {needed}: ask for a role that has it.")
        return True


# --- What a request may say -----------------------------------------------------------------------


class JSONParser(parsers.JSONParser):
    """JSON that can be stored: not nested without bounds, no infinite numbers, no NUL, no lone surrogates."""

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        body = stream.read()
        try:
            data = json.loads(body.decode(), parse_constant=_refuse_constant, parse_float=_finite)
            texts = "".join(_texts(data)) if b"\\u" in body else ""
            texts.encode()
        except RecursionError:
            raise exceptions.ParseError("The JSON is nested too deeply.") from None
        except ValueError as error:  # not UTF-8, not JSON, or a lone surrogate
            raise exceptions.ParseError(f"The body is not JSON: {error}") from None
        if "\0" in texts:
            raise exceptions.ParseError("Text cannot hold the NUL character.")
        return data


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON value")


def _finite(number: str) -> float:
    if math.isinf(found := float(number)):
        raise ValueError(f"{number[:20]} is too large a number")
    return found


def _texts(data: Any) -> Iterator[str]:
    if isinstance(data, str):
        yield data
    elif isinstance(data, dict):
        yield from data
        for value in data.values():
            yield from _texts(value)
    elif isinstance(data, list):
        for value in data:
            yield from _texts(value)


class Body(serializers.Serializer[Any]):
    """A request's body. What it does not know is refused by name: a misspelt field must not pass silently."""

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, Mapping):
            known = [name for name, field in self.fields.items() if not field.read_only]
            unknown = [str(name) for name in data if name not in known]
            if unknown:
                rule = f"Not a field of this request; they are: {', '.join(known) or 'none'}."
                raise ValidationError({name: [rule] for name in unknown}, code="unknown_field")
        return super().to_internal_value(data)


_whole = re.compile(r"-?[0-9]{1,30}")


class Whole(serializers.IntegerField):
    """A whole number, also as text (``"2"``); 2.0 and true are none."""

    def to_internal_value(self, data: Any) -> int:
        if isinstance(data, bool) or not _whole.fullmatch(str(data)):
            self.fail("invalid")
        return super().to_internal_value(data)


def valid_sku(text: str) -> str:
    """The SKU of a URL. :raises ValidationError: if it can be none."""
    if not is_sku(text):
        raise ValidationError({"sku": f"{text!r} can be no SKU: {SKU_RULE}."})
    return text


# --- Pages ----------------------------------------------------------------------------------------


class Pages(pagination.CursorPagination):
    """``{next, previous, results}``, in the view's ``ordering``; ``?page_size=`` up to 500."""

    page_size = 50
    page_size_query_param = "page_size"
    max_page_size = 500

    def get_ordering(self, request: Request, queryset: QuerySet[Any], view: "APIView") -> tuple[str, ...]:
        ordering: tuple[str, ...] = view.ordering  # type: ignore[attr-defined]
        return ordering

    def get_page_size(self, request: Request) -> int | None:
        wanted = request.query_params.get("page_size", "")
        if wanted and not (wanted.isascii() and wanted.isdigit() and int(wanted[:9])):
            raise ValidationError({"page_size": f"A number from 1 to {self.max_page_size}."})
        return super().get_page_size(request)

    def paginate_queryset(self, queryset: Any, request: Request, view: "APIView | None" = None) -> list[Any] | None:
        try:
            return super().paginate_queryset(queryset, request, view)
        except (exceptions.NotFound, DjangoValidationError, ValueError, DataError):
            rule = "Not a cursor of this list: follow its `next` and `previous` as they are."
            raise ValidationError({"cursor": rule}) from None


# --- Errors ---------------------------------------------------------------------------------------


def problem_response(error: Exception, context: dict[str, Any]) -> Response | None:
    """DRF's exception handler. What it does not know is left to Django, which logs it and answers 500."""
    if isinstance(error, DomainError):
        return _response(problems.document(error.status, code=error.code, detail=error.detail, more=error.extra))
    if isinstance(error, OperationalError | InterfaceError):
        log.warning("A database does not answer: %s", error)
        detail = "A part of the shop does not answer at the moment. Try again; with the same Idempotency-Key, if any."
        return _response(problems.document(503, code="unavailable", detail=detail), {"Retry-After": RETRY_AFTER})
    if isinstance(error, RequestDataTooBig):
        detail = f"The body is larger than {settings.DATA_UPLOAD_MAX_MEMORY_SIZE} bytes."
        return _response(problems.document(413, code="payload_too_large", detail=detail))
    if isinstance(error, Http404):
        error = exceptions.NotFound()
    elif isinstance(error, DjangoPermissionDenied):
        error = exceptions.PermissionDenied()
    if isinstance(error, ValidationError):
        errors = list(_errors(error.detail))
        detail = "; ".join(": ".join(filter(None, (each["path"], each["detail"]))) for each in errors[:3])
        return _response(problems.document(400, code="invalid", detail=detail, more={"errors": errors}))
    if isinstance(error, APIException):
        document = problems.document(error.status_code, code=str(error.get_codes()), detail=str(error.detail))
        return _response(document, _headers(error))
    return None


def _headers(error: APIException) -> dict[str, str]:
    headers = {}
    if challenge := getattr(error, "auth_header", None):  # set by the view on a 401
        headers["WWW-Authenticate"] = challenge
    if wait := getattr(error, "wait", None):
        headers["Retry-After"] = str(math.ceil(wait))
    return headers


def _response(document: dict[str, Any], headers: Mapping[str, str] | None = None) -> Response:
    return Response(document, status=document["status"], headers=headers, content_type=problems.MEDIA_TYPE)


def _errors(detail: Any, path: tuple[str, ...] = ()) -> Iterator[dict[str, str]]:
    """DRF's nested errors, flat."""
    if isinstance(detail, ErrorDetail):
        yield {"path": ".".join(path), "code": str(detail.code), "detail": str(detail)}
    elif isinstance(detail, Mapping):
        for name, inner in detail.items():
            yield from _errors(inner, path if name == "non_field_errors" else (*path, str(name)))
    else:
        for index, inner in enumerate(detail):
            yield from _errors(inner, path if isinstance(inner, ErrorDetail) else (*path, str(index)))
