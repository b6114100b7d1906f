"""Lists over HTTP, read from rows that were joined beforehand. Each answer says how fresh it is."""

from datetime import datetime
from typing import Any

from django.db.models import QuerySet
from django_filters import rest_framework as filters
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_field
from rest_framework import generics, serializers
from rest_framework.request import Request
from rest_framework.response import Response

from readmodel import projections, queries
from readmodel.models import OrderView
from shop.api.filters import IdFilter, MomentFilter

STATUSES = ["open", "confirmed", "shipped", "cancelled"]


class ListedLine(serializers.Serializer[Any]):
    sku = serializers.CharField()
    name = serializers.CharField()
    quantity = serializers.IntegerField()
    price = serializers.IntegerField(help_text="Per unit, in the minor unit of the order's currency.")
    returned = serializers.IntegerField(default=0, help_text="How many came back after the order was shipped.")


class ListedShort(serializers.Serializer[Any]):
    sku = serializers.CharField()
    requested = serializers.IntegerField()
    available = serializers.IntegerField()


class ListedReason(serializers.Serializer[Any]):
    code = serializers.CharField()
    detail = serializers.CharField()
    lines = ListedShort(
        many=True, required=False, help_text="The short lines, if `code` is `out_of_stock` or `allotment_exhausted`."
    )
    sku = serializers.CharField(required=False, help_text="The product, if `code` is `allotment_exhausted`.")
    missing = serializers.IntegerField(
        required=False, help_text="How much credit is missing, in minor units, if `code` is `credit_refused`."
    )


class ListedMoment(serializers.Serializer[Any]):
    status = serializers.ChoiceField(STATUSES)
    at = serializers.SerializerMethodField()

    @extend_schema_field(serializers.DateTimeField)
    def get_at(self, moment: dict[str, str]) -> str:
        """Write the time as everywhere in the API."""
        return moment["at"].replace("+00:00", "Z")


class ListedMember(serializers.Serializer[Any]):
    id = serializers.IntegerField(source="member_id")
    name = serializers.CharField(source="member_name", help_text="Empty until the read model knows it.")


class ListedOrder(serializers.ModelSerializer[OrderView]):
    """An order in the shape that clients rely on, with its member."""

    status = serializers.ChoiceField(STATUSES)
    lines = ListedLine(many=True)
    reason = serializers.SerializerMethodField(help_text="Why it was cancelled.")
    queue = serializers.SerializerMethodField(help_text="Always null: ask for the order itself.")
    history = ListedMoment(many=True)
    member = ListedMember(source="*")

    class Meta:
        model = OrderView
        fields = (
            "id",
            "status",
            "total",
            "currency",
            "lines",
            "reason",
            "queue",
            "placed_at",
            "decided_at",
            "history",
            "member",
        )

    @extend_schema_field(ListedReason(allow_null=True))
    def get_reason(self, order: OrderView) -> dict[str, Any] | None:
        return projections.shown_reason(order)

    @extend_schema_field({"type": "object", "nullable": True})
    def get_queue(self, order: OrderView) -> None:
        return None


class OrderFilter(filters.FilterSet):
    status = filters.MultipleChoiceFilter(choices=[(status, status) for status in STATUSES])
    include = filters.ChoiceFilter(
        choices=[("cancelled", "cancelled")],
        method="_included",
        help_text="`cancelled`: cancelled orders are left out unless asked for, here or by `status`.",
    )
    placed_after = MomentFilter(field_name="placed_at", lookup_expr="gt")
    placed_before = MomentFilter(field_name="placed_at", lookup_expr="lt")
    member = IdFilter(field_name="member_id", help_text="For staff, who see everyone's orders.")

    class Meta:
        model = OrderView
        fields = ("status", "include", "placed_after", "placed_before", "member")

    def filter_queryset(self, queryset: "QuerySet[OrderView]") -> "QuerySet[OrderView]":
        chosen = self.form.cleaned_data
        if not chosen["status"] and not chosen["include"]:
            queryset = queryset.exclude(status="cancelled")
        return super().filter_queryset(queryset)

    def _included(self, queryset: "QuerySet[OrderView]", name: str, value: str) -> "QuerySet[OrderView]":
        return queryset


class ListOrders(generics.ListAPIView[OrderView]):
    serializer_class = ListedOrder
    filterset_class = OrderFilter
    ordering = ("-placed_at", "-id")

    def get_queryset(self) -> "QuerySet[OrderView]":
        everyone = self.request.user.has_perm("orders.view_order")
        return queries.orders(member_id=None if everyone else self.request.user.pk)

    @extend_schema(
        operation_id="orders_list",
        parameters=[
            OpenApiParameter(
                "X-Fresh-At",
                datetime,
                OpenApiParameter.HEADER,
                response=[200],
                description="Everything that happened before then is in the answer; left out while not known.",
            )
        ],
    )
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """List orders, newest first: one's own, or everyone's for staff. The list lags behind by moments."""
        fresh_at = queries.fresh_at()  # before the list is read: never later than what the list shows
        answer = self.list(request)
        if fresh_at:
            answer["X-Fresh-At"] = fresh_at.isoformat().replace("+00:00", "Z")
        return answer
