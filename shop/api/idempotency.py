"""Requests that may be repeated: the ``Idempotency-Key`` header, for every view that writes.

::

    @extend_schema(…)
    @idempotent(IdempotencyKey)
    def post(self, request: Request, sku: str) -> Response: ...

The same key with the same request gets the first one's answer again, and has no second effect; with another
request it is refused, 422. Of two at once, the second waits for the first. The key is stored in the transaction
of the effect: what was refused, or rolled back, leaves none, and may be sent again under the same key.
"""

import hashlib
import json
import re
from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

from django.db import router, transaction
from django.db.models.functions import Now
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from shop.idempotency import IdempotencyKey, KeyReused

V = TypeVar("V")
P = ParamSpec("P")

HEADER = "Idempotency-Key"

KEY_PARAMETER = OpenApiParameter(
    HEADER,
    {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[ -~]{1,255}$"},
    location=OpenApiParameter.HEADER,
    description="1 to 255 printable ASCII characters. The same key with the same request gets the same answer; "
    "with another request, 422.",
)

_printable = re.compile(r"[\x20-\x7e]{1,255}")


def key_of(request: Request) -> str | None:
    """Return the request's key, if it has one. :raises ValidationError: if it is empty, too long or not printable."""
    key = request.headers.get(HEADER)
    if key is not None and not _printable.fullmatch(key):
        raise serializers.ValidationError({HEADER: "1 to 255 printable ASCII characters."})
    return key


def idempotent(
    table: type[IdempotencyKey],
) -> Callable[[Callable[Concatenate[V, Request, P], Response]], Callable[Concatenate[V, Request, P], Response]]:
    """Let clients repeat a view's method under a key, which is stored in ``table``, beside what the method writes.

    :raises KeyReused: if the key stands for another request.
    """

    def decorate(method: Callable[Concatenate[V, Request, P], Response]) -> Any:
        @extend_schema(parameters=[KEY_PARAMETER])
        @wraps(method)
        def answer(view: V, request: Request, /, *args: P.args, **kwargs: P.kwargs) -> Response:
            key = key_of(request)
            if key is None:
                return method(view, request, *args, **kwargs)
            fingerprint = fingerprint_of(request)
            assert request.user.pk is not None  # every view that writes wants somebody known
            with transaction.atomic(using=router.db_for_write(table)):
                # Before anything else is locked: it waits for a request with the same key that is under way.
                row, new = table._default_manager.get_or_create(
                    user_id=request.user.pk,
                    key=key,
                    defaults={"fingerprint": fingerprint, "created_at": Now()},
                )
                if row.fingerprint != fingerprint:
                    raise KeyReused(key)
                if not new:
                    return _again(row.answer)
                response = method(view, request, *args, **kwargs)
                row.answer = _kept(response)
                row.save(update_fields=["answer"])
            return response

        return answer

    return decorate


def fingerprint_of(request: Request) -> str:
    """Return the SHA-256 of the request's method, path and body; spaces and the order of fields do not count."""
    text = json.dumps([request.method, request.path, request.data], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _kept(response: Response) -> str:
    headers = {name: response[name] for name in ("Location",) if response.has_header(name)}
    kept: bytes = JSONRenderer().render({"status": response.status_code, "headers": headers, "body": response.data})
    return kept.decode()


def _again(answer: str) -> Response:
    kept = json.loads(answer)
    return Response(kept["body"], status=kept["status"], headers=kept["headers"])
