"""Orders over HTTP: one order at a time. Lists are the read model's."""

import hashlib
from typing import Any, ClassVar
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
from shop.api.authentication import HasNeeded, member_id_of
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
    expected_total = Whole(
        min_value=0, max_value=2**63 - 1, required=False, help_text="Minor units: another total is refused, 409."
    )

    def validate_lines(self, lines: list[dict[str, Any]]) -> list[Wanted]:
        """Merge lines of one SKU."""
        merged = merge([Wanted(**line) for line in lines])
        for sku, quantity in merged:
            if quantity > MAX_QUANTITY:
                rule = f"The lines of {sku} add up to {quantity}; an order takes at most {MAX_QUANTITY}."
                raise serializers.ValidationError(rule, code="max_value")
        return merged


class ReturnedGoods(Body):
    lines = Items(child=WantedLine(), min_length=1, max_length=MAX_LINES)

    def validate_lines(self, lines: list[dict[str, Any]]) -> list[Wanted]:
        """Merge lines of one SKU."""
        return merge([Wanted(**line) for line in lines])


class LineShape(serializers.Serializer[Any]):
    sku = serializers.CharField()
    name = serializers.CharField()
    quantity = serializers.IntegerField()
    price = serializers.IntegerField(help_text="Per unit, in the minor unit of the order's currency.")
    returned = serializers.IntegerField(help_text="How many came back after the order was shipped.")


class ShortShape(serializers.Serializer[Any]):
    sku = serializers.CharField()
    requested = serializers.IntegerField()
    available = serializers.IntegerField()


class ReasonShape(serializers.Serializer[Any]):
    code = serializers.CharField()
    detail = serializers.CharField()
    lines = ShortShape(
        many=True, required=False, help_text="The short lines, if `code` is `out_of_stock` or `allotment_exhausted`."
    )
    sku = serializers.CharField(required=False, help_text="The product, if `code` is `allotment_exhausted`.")
    missing = serializers.IntegerField(
        required=False, help_text="How much credit is missing, in minor units, if `code` is `credit_refused`."
    )
    also = serializers.ListField(
        child=serializers.DictField(), required=False, help_text="Further refusals; each is a reason like this one."
    )


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
    returned = order.returned
    return {
        "id": order.pk,
        "status": order.status,
        "total": order.total,
        "currency": order.currency,
        "lines": [
            {
                "sku": line.sku,
                "name": line.name,
                "quantity": line.quantity,
                "price": line.price,
                "returned": returned.get(line.sku, 0),
            }
            for line in order.snapshot
        ],
        "reason": order.reason and order.reason.shown(),
        "queue": place and place._asdict(),
        "placed_at": order.placed_at,
        "decided_at": order.decided_at,
        "history": [{"status": status, "at": at} for status, at in order.history],
    }


# --- Views ----------------------------------------------------------------------------------------

NO_FIELDS = {"application/json": {"type": "object", "properties": {}, "additionalProperties": False}}

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
            202: OpenApiResponse(OrderShape, "Accepted: it is open until its participants have answered."),
            409: OpenApiResponse(None, "The total is not the expected one; `lines` and `total` say what it is."),
            422: OpenApiResponse(None, "Lines that cannot be ordered; or the key stands for another request."),
        },
    )
    def post(self, request: Request) -> Response:
        """Place an order at current prices. It is accepted at once and decided a little later."""
        member_id = member_id_of(request.user)
        body = WantedOrder(data=request.data)
        body.is_valid(raise_exception=True)
        order, _ = services.place_order(member_id=member_id, key=key_of(request), **body.validated_data)
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
        request=NO_FIELDS,
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


class ShipOrder(APIView):
    permission_classes = (HasNeeded,)
    needs: ClassVar = {"POST": "orders.change_order"}

    @extend_schema(
        operation_id="orders_ship",
        request=NO_FIELDS,
        responses={200: OrderShape, 409: OpenApiResponse(None, "It is not confirmed.")},
    )
    @idempotent(IdempotencyKey)
    def post(self, request: Request, order_id: UUID) -> Response:
        """Ship a confirmed order: its goods leave the stock, and what they cost is spent. For staff."""
        Body(data=request.data).is_valid(raise_exception=True)
        return Response(shown(services.ship_order(order_id=order_id, at=database_time("orders"))))


class ReturnGoods(APIView):
    permission_classes = (HasNeeded,)
    needs: ClassVar = {"POST": "orders.change_order"}
    body_limit = PlaceOrder.body_limit

    @extend_schema(
        operation_id="orders_return",
        request=ReturnedGoods,
        responses={
            200: OrderShape,
            409: OpenApiResponse(None, "It was not shipped, or less can come back; each line says how much."),
        },
    )
    @idempotent(IdempotencyKey)
    def post(self, request: Request, order_id: UUID) -> Response:
        """Take back goods of a shipped order: they are on sale again, and refunded. For staff.

        Without an Idempotency-Key, a request that is sent twice counts twice.
        """
        body = ReturnedGoods(data=request.data)
        body.is_valid(raise_exception=True)
        at = database_time("orders")
        order = services.return_goods(order_id=order_id, lines=body.validated_data["lines"], at=at)
        return Response(shown(order))


def _check_own_or(request: Request, order: Order, permission: str) -> bool:
    """Tell whether the order is the caller's own. :raises NotFound: unless it is, or the permission is held."""
    own = order.member_id == request.user.pk
    if not own and not request.user.has_perm(permission):
        raise NotFound(f"There is no order {order.pk}.")
    return own
