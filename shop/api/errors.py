"""Errors as problem documents (RFC 9457)."""

import logging
import math
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

from django.conf import settings
from django.core.exceptions import PermissionDenied as DjangoPermissionDenied
from django.core.exceptions import RequestDataTooBig
from django.http import Http404
from rest_framework import exceptions
from rest_framework.exceptions import APIException, ErrorDetail, Throttled, ValidationError
from rest_framework.response import Response

from shop.api import problems
from shop.databases import RETRY_AFTER, is_unavailable
from shop.errors import DomainError

log = logging.getLogger(__name__)

MAX_ERRORS = 20  # that a problem lists
MAX_NAME = 100  # characters of a field's name that a problem repeats


def problem_response(error: Exception, context: dict[str, Any]) -> Response | None:
    """Turn an exception into a problem; DRF's exception handler. Django logs any other, and answers 500."""
    if isinstance(error, DomainError):
        return _response(problems.document(error.status, code=error.code, detail=error.detail, more=error.extra))
    if is_unavailable(error):
        log.warning("A database is unavailable: %s", error)
        detail = "Part of the shop is temporarily unavailable. Try again; with the same Idempotency-Key, if any."
        return _response(problems.document(503, code="unavailable", detail=detail), {"Retry-After": RETRY_AFTER})
    if isinstance(error, RequestDataTooBig):
        detail = f"The body is larger than {settings.DATA_UPLOAD_MAX_MEMORY_SIZE} bytes."
        return _response(problems.document(413, code="payload_too_large", detail=detail))
    if isinstance(error, Http404):
        error = exceptions.NotFound()
    elif isinstance(error, DjangoPermissionDenied):
        error = exceptions.PermissionDenied()
    if isinstance(error, ValidationError):
        return _response(_invalid(error))
    if isinstance(error, Throttled):
        headers = _headers(error)
        detail = f"There were too many requests like this one. Try again in {headers['Retry-After']} s."
        return _response(problems.document(429, code="throttled", detail=detail), headers)
    if isinstance(error, APIException):
        document = problems.document(error.status_code, code=str(error.get_codes()), detail=str(error.detail))
        return _response(document, _headers(error))
    return None


def _invalid(error: ValidationError) -> dict[str, Any]:
    """Report the first errors, and how many more there are: an answer is not longer than its question may be."""
    found = _errors(error.detail)
    errors = list(islice(found, MAX_ERRORS))
    detail = "; ".join(": ".join(filter(None, (each["path"], each["detail"]))) for each in errors[:3])
    more: dict[str, Any] = {"errors": errors}
    if omitted := sum(1 for _ in found):
        more["more_errors"] = omitted
    return problems.document(400, code="invalid", detail=detail, more=more)


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
    """Flatten DRF's nested errors."""
    if isinstance(detail, ErrorDetail):
        yield {"path": ".".join(path), "code": str(detail.code), "detail": str(detail)}
    elif isinstance(detail, Mapping):
        for name, inner in detail.items():
            yield from _errors(inner, path if name == "non_field_errors" else (*path, _short(str(name))))
    else:
        for index, inner in enumerate(detail):
            yield from _errors(inner, path if isinstance(inner, ErrorDetail) else (*path, str(index)))


def _short(name: str) -> str:
    return name if len(name) <= MAX_NAME else f"{name[:MAX_NAME]}…"
