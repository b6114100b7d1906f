"""Request bodies: how long they may be, and what JSON they may hold. Lengths come before contents."""

from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import IO, Any

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from drf_spectacular.extensions import OpenApiSerializerExtension
from rest_framework import exceptions, parsers, serializers
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request

from shop import json_text
from shop.api import problems

DEFAULT_LIMIT = 16 * 1024  # bytes of a body, for views that do not declare their own ``body_limit``

MAX_NAMED = 19  # unknown fields of one object that an answer names; it counts the others


class PayloadTooLarge(exceptions.APIException):
    """The body is longer than this address takes."""

    status_code = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    default_code = "payload_too_large"

    def __init__(self, limit: int) -> None:
        super().__init__(f"The body is too large: this address takes at most {limit} bytes.")


class LengthRequired:
    """Middleware: refuse, 411, a body whose length is not given in advance.

    Plain WSGI servers do not tell where such a body ends, and it would be taken for empty. The web process
    (``shop/asgi.py``) reads it whole, and passes it on with its length.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if "HTTP_TRANSFER_ENCODING" in request.META and request.META.get("CONTENT_LENGTH", "") in ("", "0"):
            detail = "A body needs its length in advance: send Content-Length, not Transfer-Encoding."
            return problems.page(request, 411, detail) or HttpResponse(detail, status=411, content_type="text/plain")
        return self.get_response(request)


class JSONParser(parsers.BaseParser):
    """Reads a body, if it is not longer than the view's ``body_limit``, as :func:`shop.json_text.loads` does.

    Not DRF's JSONParser: for one of those, DRF reads the whole body before it is asked.
    """

    media_type = "application/json"

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        context = parser_context or {}
        limit = getattr(context.get("view"), "body_limit", DEFAULT_LIMIT)
        if _declared_length(context["request"]) > limit:  # nothing of it is read
            raise PayloadTooLarge(limit)
        body = stream.read(limit + 1)
        if len(body) > limit:
            raise PayloadTooLarge(limit)
        try:
            return json_text.loads(body)
        except json_text.UnreadableJSON as error:
            raise exceptions.ParseError(str(error)) from None


def _declared_length(request: Request) -> int:
    declared = request.META.get("CONTENT_LENGTH") or "0"
    return int(declared[:20]) if declared.isdecimal() else 0


class Body(serializers.Serializer[Any]):
    """A request's body. Unknown fields are refused by name: a misspelt one must not pass silently."""

    default_error_messages = {"invalid": "It must be a JSON object."}

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, Mapping):
            known = [name for name, field in self.fields.items() if not field.read_only]
            unknown = [name for name in data if name not in known]
            if unknown:
                rule = f"Not a field of this request, which has: {', '.join(known) or 'none'}."
                errors = {name: [rule] for name in unknown[:MAX_NAMED]}
                if more := len(unknown) - len(errors):
                    errors["non_field_errors"] = [f"It has {more} more unknown fields."]
                raise ValidationError(errors, code="unknown_field")
        return super().to_internal_value(data)


class ClosedObject(OpenApiSerializerExtension):  # type: ignore[no-untyped-call]
    """drf-spectacular's description of a :class:`Body`: as a request, it has no fields but those declared."""

    target_class = "shop.api.bodies.Body"
    match_subclasses = True

    def map_serializer(self, auto_schema: Any, direction: str) -> dict[str, Any]:
        schema: dict[str, Any] = auto_schema._map_serializer(self.target, direction, bypass_extensions=True)
        return {**schema, "additionalProperties": False} if direction == "request" else schema
