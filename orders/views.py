"""Orders over HTTP: one order at a time. Lists are the read model's."""

import hashlib
from typing import Any
from uuid import UUID

import msgspec
from django.http import HttpResponseBase
from django.urls import reverse
from django.utils.cache import get_conditional_response, patch_cache_control
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from orders import queries, services
from orders.events import CancelledByMember, CancelledByStaff
from orders.models import IdempotencyKey, Order, Status
from orders.policies import Wanted, merge
from shop.api.authentication import member_id_of
from shop.api.bodies import Body
from shop.api.fields import Items, Sku, Whole
from shop.api.idempotency import KEY_PARAMETER, idempotent, key_of
from shop.api.throttling import limited
from shop.databases import database_time
from shop.errors import NotFound
from shop.values import MAX_LINES, MAX_QUANTITY

# --- Shapes ---------------------------------------------------------------------------------------


class WantedLine(Body):
    sku = Sku()
    quantity = Whole(min_value=1, max_value=MAX_QUANTITY)


class WantedOrder(Body):
    lines = Items(child=WantedLine(), min_length=1, max_length=MAX_LINES)

    def validate_lines(self, lines: list[dict[str, Any]]) -> list[Wanted]:
        """Merge lines of one SKU."""
        merged = merge([Wanted(**line) for line in lines])
        for sku, quantity in merged:
            if quantity > MAX_QUANTITY:
                rule = f"The lines of {sku} add up to {quantity}; an order takes at most {MAX_QUANTITY}."
                raise serializers.ValidationError(rule, code="max_value")
        return merged


class LineShape(serializers.Serializer[Any]):
    sku = serializers.CharField()
    name = serializers.CharField()
    quantity = serializers.IntegerField()
    price = serializers.IntegerField(help_text="Per unit, in the minor unit of the order's currency.")


class ShortShape(serializers.Serializer[Any]):
    sku = serializers.CharField()
    requested = serializers.IntegerField()
    available = serializers.IntegerField()


class ReasonShape(serializers.Serializer[Any]):
    code = serializers.CharField()
    detail = serializers.CharField()
    lines = ShortShape(many=True, required=False, help_text="The short lines, if `code` is `out_of_stock`.")


class QueueShape(serializers.Serializer[Any]):
    position = serializers.IntegerField(help_text="Events ahead of it that the inventory has yet to handle.")
    eta_seconds = serializers.IntegerField(allow_null=True, help_text="Null while there is no recent rate.")


class MomentShape(serializers.Serializer[Any]):
    status = serializers.ChoiceField(Status.values)
    at = serializers.DateTimeField()


class OrderShape(serializers.Serializer[Any]):
    """An order as clients see it: the schema of what :func:`shown` returns."""

    id = serializers.UUIDField()
    status = serializers.ChoiceField(Status.values)
    total = serializers.IntegerField(help_text="In the minor unit of the currency.")
    currency = serializers.CharField()
    lines = LineShape(many=True)
    reason = ReasonShape(allow_null=True, help_text="Why it was cancelled.")
    queue = QueueShape(allow_null=True, help_text="Null unless the order is open.")
    placed_at = serializers.DateTimeField()
    decided_at = serializers.DateTimeField(allow_null=True)
    history = MomentShape(many=True)


def shown(order: Order) -> dict[str, Any]:
    """Represent an order to clients. A plain dict: serializers would cost half of the request."""
    place = queries.place_in_queue(order)
    return {
        "id": order.pk,
        "status": order.status,
        "total": order.total,
        "currency": order.currency,
        "lines": [
            {"sku": line.sku, "name": line.name, "quantity": line.quantity, "price": line.price}
            for line in order.snapshot
        ],
        "reason": order.reason and order.reason.shown(),
        "queue": place and place._asdict(),
        "placed_at": order.placed_at,
        "decided_at": order.decided_at,
        "history": [{"status": status, "at": at} for status, at in order.history],
    }


# --- Views ----------------------------------------------------------------------------------------

LOCATION = OpenApiParameter("Location", location=OpenApiParameter.HEADER, response=[202])


class PlaceOrder(APIView):
    """Mixed into the list of orders: both share an address, but not a database."""

    body_limit = 64 * 1024  # bytes: MAX_LINES of the longest SKUs

    @limited("orders")
    @extend_schema(
        operation_id="orders_place",
        request=WantedOrder,
        parameters=[KEY_PARAMETER, LOCATION],
        responses={
            202: OpenApiResponse(OrderShape, "Accepted: it is open until the inventory has answered."),
            422: OpenApiResponse(None, "Lines that cannot be ordered; or the key stands for another request."),
        },
    )
    def post(self, request: Request) -> Response:
        """Place an order at current prices. It is accepted at once and decided a little later."""
        member_id = member_id_of(request.user)
        body = WantedOrder(data=request.data)
        body.is_valid(raise_exception=True)
        order, _ = services.place_order(member_id=member_id, lines=body.validated_data["lines"], key=key_of(request))
        return Response(shown(order), status=202, headers={"Location": reverse("order", args=[order.pk])})


class OrderDetail(APIView):
    @extend_schema(
        operation_id="orders_retrieve",
        parameters=[
            OpenApiParameter("If-None-Match", location=OpenApiParameter.HEADER, description="ETags known already."),
            OpenApiParameter("ETag", location=OpenApiParameter.HEADER, response=[200, 304]),
        ],
        responses={200: OrderShape, 304: OpenApiResponse(None, "Unchanged.")},
    )
    def get(self, request: Request, order_id: UUID) -> HttpResponseBase | None:
        """Retrieve an order as it is now. With `If-None-Match`, an unchanged order is not sent again."""
        order = queries.order(order_id)
        _check_own_or(request, order, "orders.view_order")
        data = shown(order)
        etag = f'"{hashlib.sha256(msgspec.json.encode(data)).hexdigest()[:32]}"'
        response = Response(data, headers={"ETag": etag})
        patch_cache_control(response, private=True, no_cache=True)
        return get_conditional_response(request._request, etag=etag, response=response)


class CancelOrder(APIView):
    @extend_schema(
        operation_id="orders_cancel",
        request={"application/json": {"type": "object", "properties": {}, "additionalProperties": False}},
        responses={200: OrderShape, 409: OpenApiResponse(None, "It is cancelled already, or has shipped.")},
    )
    @idempotent(IdempotencyKey)
    def post(self, request: Request, order_id: UUID) -> Response:
        """Cancel an order that has not shipped. What is reserved for it is released a little later."""
        Body(data=request.data).is_valid(raise_exception=True)
        order = queries.order(order_id)
        own = _check_own_or(request, order, "orders.change_order")
        reason = CancelledByMember() if own else CancelledByStaff()
        order = services.cancel_order(order_id=order_id, reason=reason, at=database_time("orders"))
        return Response(shown(order))


def _check_own_or(request: Request, order: Order, permission: str) -> bool:
    """Tell whether the order is the caller's own. :raises NotFound: unless it is, or the permission is held."""
    own = order.member_id == request.user.pk
    if not own and not request.user.has_perm(permission):
        raise NotFound(f"There is no order {order.pk}.")
    return own
