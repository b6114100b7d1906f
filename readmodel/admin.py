"""The read model in the admin."""

from datetime import datetime
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from readmodel.models import OrderView
from shop.admin.pages import ReadOnlyPage
from shop.admin.shown import Panel, badge, moment, page_link, pretty
from shop.values import format_money

COLOURS = {"open": "info", "confirmed": "success", "shipped": "primary", "cancelled": "danger"}


class StatusFilter(admin.SimpleListFilter):
    """Filter by status, through the index on (status, placed_at, id)."""

    title = "status"
    parameter_name = "status"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(status, status.capitalize()) for status in COLOURS]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(status=self.value()) if self.value() else queryset


@admin.register(OrderView)
class OrderViewPage(ReadOnlyPage):
    """Orders as lists show them; the order itself is the orders context's."""

    list_display = ("id", "state", "member", "content", "amount", "placed")
    list_filter = (StatusFilter,)
    search_fields = ("id", "member_id")
    search_help_text = "Order id or member id, exactly"
    empty = "No orders yet."
    ordering = ("-placed_at", "-id")
    fields = (("id", "state"), ("member", "amount"), ("placed", "decided"), "order")

    def panels(self, request: HttpRequest, row: OrderView) -> list[Panel]:
        lines = [
            (
                line["sku"],
                line["name"],
                format_money(line["price"], row.currency),
                line["quantity"],
                line.get("returned", 0),
            )
            for line in row.lines
        ]
        history = [(moment(datetime.fromisoformat(entry["at"])), entry["status"]) for entry in row.history]
        return [
            Panel(title="Lines", headers=("SKU", "Product", "Price", "Quantity", "Returned"), rows=lines),
            Panel(title="History", headers=("Time (UTC)", "Status"), rows=history),
            *([Panel(title="Why it was cancelled", text=pretty(row.reason))] if row.reason else []),
        ]

    @admin.display(description="status")
    def state(self, row: OrderView) -> str:
        return badge(row.status, COLOURS.get(row.status, ""))

    @admin.display
    def member(self, row: OrderView) -> str:
        return page_link("members_member", row.member_id, row.member_name or row.member_id)

    @admin.display(description="lines")
    def content(self, row: OrderView) -> str:
        lines = ", ".join(f"{line['quantity']} × {line['name']}" for line in row.lines[:3])
        return lines + (f" and {len(row.lines) - 3} more" if len(row.lines) > 3 else "")

    @admin.display(description="total")
    def amount(self, row: OrderView) -> str:
        return format_money(row.total, row.currency)

    @admin.display(description="placed at (UTC)")
    def placed(self, row: OrderView) -> str:
        return moment(row.placed_at)

    @admin.display(description="decided at (UTC)")
    def decided(self, row: OrderView) -> str:
        return moment(row.decided_at)

    @admin.display
    def order(self, row: OrderView) -> str:
        return page_link("orders_order", row.pk, "The order itself, with its timeline")
