"""Errors as RFC 9457 problem documents: ``type``, ``title``, ``status``, ``detail`` and a stable ``code``.

A refused request also has ``errors``, each with the ``path`` of the field (``lines.0.quantity``), and
``more_errors`` if there are too many to list; a refusal of the domain has whatever it says besides. ``type`` is
``about:blank``: ``code`` is what tells problems apart.
"""

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.views import defaults

MEDIA_TYPE = "application/problem+json"


def document(status: int, *, code: str, detail: str, more: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Make a problem document; ``more`` are further members."""
    title = HTTPStatus(status).phrase
    return {**(more or {}), "type": "about:blank", "title": title, "status": status, "detail": detail, "code": code}


def code_of(status: int) -> str:
    """Return the code of a problem that has none of its own, such as ``not_found``."""
    return HTTPStatus(status).phrase.lower().replace(" ", "_")


# --- Django's own error pages, under /api/ --------------------------------------------------------


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    return page(request, 400, "The request is malformed.") or defaults.bad_request(request, exception)


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    return page(request, 403, "This is not allowed.") or defaults.permission_denied(request, exception)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    detail = f"There is nothing at {request.path}; /api/docs/ lists all addresses."
    return page(request, 404, detail) or defaults.page_not_found(request, exception)


def server_error(request: HttpRequest) -> HttpResponseBase:
    """Answer 500. The cause is in the log only."""
    return page(request, 500, "Something went wrong on our side; it has been logged.") or defaults.server_error(request)


def page(request: HttpRequest, status: int, detail: str) -> HttpResponse | None:
    """Answer with a problem under /api/; elsewhere ``None``."""
    if not request.path.startswith("/api/"):
        return None
    problem = document(status, code=code_of(status), detail=detail)
    return HttpResponse(json.dumps(problem), status=status, content_type=MEDIA_TYPE)


# --- OpenAPI --------------------------------------------------------------------------------------

SCHEMA = {
    "type": "object",
    "description": "What went wrong (RFC 9457).",
    "required": ["type", "title", "status", "detail", "code"],
    "properties": {
        "type": {"type": "string", "format": "uri-reference"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "For people: what went wrong, with which values, and what to do."},
        "code": {"type": "string", "description": "For machines; stable."},
        "errors": {
            "type": "array",
            "description": "What is wrong with the request, field by field.",
            "items": {
                "type": "object",
                "required": ["path", "code", "detail"],
                "properties": {name: {"type": "string"} for name in ("path", "code", "detail")},
            },
        },
        "more_errors": {"type": "integer", "description": "How many more errors there are, if not all are listed."},
    },
    "additionalProperties": True,
}


RETRY = {"Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer"}}}
CHALLENGE = {"WWW-Authenticate": {"description": "How to authenticate.", "schema": {"type": "string"}}}

ALWAYS: dict[int, dict[str, Any]] = {
    400: {"description": "The request is malformed; `errors` names the fields."},
    401: {"description": "No valid token or session.", "headers": CHALLENGE},
    403: {"description": "Not for this user, or not without a CSRF token."},
    406: {"description": "Nothing that `Accept` asks for."},
    429: {"description": "Too many requests.", "headers": RETRY},
    500: {"description": "A fault of ours; it has been logged."},
    503: {"description": "Part of the shop is temporarily unavailable.", "headers": RETRY},
}
WITH_PATH: dict[int, dict[str, Any]] = {404: {"description": "It does not exist, or is not the caller's to see."}}
WITH_BODY: dict[int, dict[str, Any]] = {
    408: {"description": "The body arrives too slowly."},
    411: {"description": "The body's length is not given in advance."},
    413: {"description": "The body is too large."},
    415: {"description": "The body is not JSON."},
    422: {"description": "The request cannot be carried out as it stands, or the key stands for another request."},
}


def describe_problems(result: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
    """drf-spectacular's hook: say of every operation which problems it may answer with.

    A view declares only what is its own, with no content: ``409: OpenApiResponse(None, "…")``.
    """
    result["components"].setdefault("schemas", {})["Problem"] = SCHEMA
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    for path, operations in result["paths"].items():
        for operation in operations.values():
            own = operation["responses"]
            shared = ALWAYS | (WITH_PATH if "{" in path else {}) | (WITH_BODY if "requestBody" in operation else {})
            problems = {str(status): answer for status, answer in shared.items()} | {
                status: answer for status, answer in own.items() if status >= "400"
            }
            operation["responses"] = dict(
                sorted((own | {status: {**answer, "content": content} for status, answer in problems.items()}).items())
            )
    return result
