"""Errors as RFC 9457 problem documents: ``type``, ``title``, ``status``, ``detail`` and a stable ``code``.

A refused request also has ``errors``, each with the ``path`` of the field (``lines.0.quantity``); a refusal of
the domain has whatever it says besides. ``type`` is ``about:blank``: ``code`` is what tells problems apart.
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
    return _page(request, 400, "The request is malformed.") or defaults.bad_request(request, exception)


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    return _page(request, 403, "This is not allowed.") or defaults.permission_denied(request, exception)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    detail = f"There is nothing at {request.path}; /api/docs/ lists all addresses."
    return _page(request, 404, detail) or defaults.page_not_found(request, exception)


def server_error(request: HttpRequest) -> HttpResponseBase:
    """Answer 500. The cause is in the log only."""
    return _page(request, 500, "Something went wrong on our side; it has been logged.") or defaults.server_error(
        request
    )


def _page(request: HttpRequest, status: int, detail: str) -> HttpResponse | None:
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
    },
    "additionalProperties": True,
}


TOO_MANY = {
    "description": "There were too many requests like this one, or with wrong tokens. Nothing was done.",
    "headers": {"Retry-After": {"schema": {"type": "integer"}, "description": "Seconds to wait."}},
    "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
}


def describe_problems(result: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
    """drf-spectacular's hook: every operation may answer with a problem."""
    result["components"].setdefault("schemas", {})["Problem"] = SCHEMA
    answer = {
        "description": "A problem",
        "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
    for operations in result["paths"].values():
        for operation in operations.values():
            operation["responses"].setdefault("429", TOO_MANY)
            operation["responses"].setdefault("default", answer)
    return result
