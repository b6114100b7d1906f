"""The stock and its ledger over HTTP, for its staff."""

from typing import Any, ClassVar

from django.db.models import QuerySet
from django_filters import rest_framework as filters
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import generics, serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from inventory import queries, services
from inventory.models import IdempotencyKey, StockItem, StockMovement
from inventory.policies import MAX_MOVEMENT
from shop.api.authentication import HasNeeded
from shop.api.bodies import Body
from shop.api.fields import Text, Whole, valid_sku
from shop.api.idempotency import idempotent
from shop.databases import database_time


class StockShape(serializers.ModelSerializer[StockItem]):
    class Meta:
        model = StockItem
        fields = ("sku", "available", "reserved")


class MovementShape(serializers.ModelSerializer[StockMovement]):
    class Meta:
        model = StockMovement
        fields = ("kind", "quantity", "order_id", "at", "note")


class Receipt(Body):
    quantity = Whole(min_value=1, max_value=MAX_MOVEMENT)
    note = Text(max_length=200, allow_blank=True, default="")


class Adjustment(Body):
    quantity = Whole(
        min_value=-MAX_MOVEMENT,
        max_value=MAX_MOVEMENT,
        help_text="The difference that a count found: positive or negative.",
    )
    note = Text(max_length=200, help_text="The reason, for the ledger.")

    def validate_quantity(self, quantity: int) -> int:
        if quantity == 0:
            raise serializers.ValidationError("An adjustment by 0 changes nothing.", code="zero")
        return quantity


class StockList(generics.ListAPIView[StockItem]):
    permission_classes = (HasNeeded,)
    needs: ClassVar = {"GET": "inventory.view_stockitem"}
    serializer_class = StockShape
    ordering = ("sku",)

    def get_queryset(self) -> "QuerySet[StockItem]":
        return queries.items()

    @extend_schema(operation_id="inventory_stock_list")
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """List the stock, by SKU."""
        return self.list(request)


class StockDetail(APIView):
    permission_classes = (HasNeeded,)
    needs: ClassVar = {"GET": "inventory.view_stockitem"}

    @extend_schema(operation_id="inventory_stock_retrieve", responses=StockShape)
    def get(self, request: Request, sku: str) -> Response:
        """Retrieve the stock of one SKU: available for sale, and reserved for orders."""
        return Response(StockShape(queries.item(valid_sku(sku))).data)


class ReceiveStock(APIView):
    permission_classes = (HasNeeded,)
    needs: ClassVar = {"POST": "inventory.change_stockitem"}

    @extend_schema(operation_id="inventory_stock_receive", request=Receipt, responses=StockShape)
    @idempotent(IdempotencyKey)
    def post(self, request: Request, sku: str) -> Response:
        """Receive goods. Without an Idempotency-Key, a request that is sent twice counts twice."""
        body = Receipt(data=request.data)
        body.is_valid(raise_exception=True)
        item = services.receive_stock(sku=valid_sku(sku), **body.validated_data, at=database_time("inventory"))
        return Response(StockShape(item).data)


class AdjustStock(APIView):
    permission_classes = (HasNeeded,)
    needs: ClassVar = {"POST": "inventory.change_stockitem"}

    @extend_schema(
        operation_id="inventory_stock_adjust",
        request=Adjustment,
        responses={200: StockShape, 409: OpenApiResponse(None, "Less is available than is to be taken away.")},
    )
    @idempotent(IdempotencyKey)
    def post(self, request: Request, sku: str) -> Response:
        """Correct the stock by a count. Without an Idempotency-Key, a request that is sent twice counts twice."""
        body = Adjustment(data=request.data)
        body.is_valid(raise_exception=True)
        item = services.adjust_stock(sku=valid_sku(sku), **body.validated_data, at=database_time("inventory"))
        return Response(StockShape(item).data)


class MovementFilter(filters.FilterSet):
    class Meta:
        model = StockMovement
        fields = ("kind",)


class Movements(generics.ListAPIView[StockMovement]):
    permission_classes = (HasNeeded,)
    needs: ClassVar = {"GET": "inventory.view_stockmovement"}
    serializer_class = MovementShape
    filterset_class = MovementFilter
    ordering = ("-id",)

    def get_queryset(self) -> "QuerySet[StockMovement]":
        if getattr(self, "swagger_fake_view", False):  # asked by the schema's generator, with no SKU
            return StockMovement.objects.none()
        return queries.movements(valid_sku(self.kwargs["sku"]))

    @extend_schema(operation_id="inventory_stock_movements")
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """List the movements of one SKU, newest first."""
        return self.list(request)
