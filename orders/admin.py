"""The orders context in the admin."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse

from orders import services
from orders.events import CancelledByStaff, OutOfStock, UnknownReason
from orders.models import MemberCopy, Order, ProductCopy, Status
from shop.admin.dialogs import Dialog, dialog
from shop.admin.pages import ReadOnlyPage, confirmed, each
from shop.admin.shown import NOTHING, Panel, badge, counted, list_link, moment, page_link, pretty
from shop.databases import database_time
from shop.messaging.admin.timeline import timeline
from shop.values import format_money

COLOURS = {Status.OPEN: "info", Status.CONFIRMED: "success", Status.SHIPPED: "primary", Status.CANCELLED: "danger"}


class OpenFilter(admin.SimpleListFilter):
    """Filter for open orders, which have an index; the read model lists the other states."""

    title = "undecided"
    parameter_name = "open"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("yes", "Open")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(status=Status.OPEN) if self.value() == "yes" else queryset


@admin.register(Order)
class OrderPage(ReadOnlyPage):
    """An order with its lines and everything that happened to it."""

    list_display = ("id", "state", "member", "amount", "placed", "decided")
    list_filter = (OpenFilter,)
    search_fields = ("id", "member_id")
    search_help_text = "Order id or member id, exactly"
    empty = "No order was placed yet."
    ordering = ("-id",)
    fields = (("id", "state"), ("member", "amount"), ("placed", "decided"), "reason", "elsewhere")
    actions = ("cancel_selected",)
    actions_detail = ("cancel",)

    def panels(self, request: HttpRequest, row: Order) -> list[Panel]:
        lines = [
            (
                page_link("orders_productcopy", line.sku),
                line.name,
                format_money(line.price, row.currency),
                line.quantity,
                format_money(line.price * line.quantity, row.currency),
            )
            for line in row.lines.all()
        ]
        headers = ("SKU", "Product", "Price", "Quantity", "Amount")
        return [
            Panel(title="Lines", headers=headers, rows=lines),
            timeline("orders", row.key, title="Timeline", moments=row.history),
        ]

    def get_actions_detail(self, request: HttpRequest, object_id: Any) -> list[Any]:
        order = self.get_object(request, str(object_id))
        fitting = order is not None and order.can_be_cancelled
        return list(super().get_actions_detail(request, object_id)) if fitting else []

    @admin.display(description="status")
    def state(self, row: Order) -> str:
        return badge(row.get_status_display(), COLOURS[Status(row.status)])

    @admin.display
    def member(self, row: Order) -> str:
        return page_link("members_member", row.member_id)

    @admin.display(description="total")
    def amount(self, row: Order) -> str:
        return format_money(row.total, row.currency)

    @admin.display(description="placed at (UTC)")
    def placed(self, row: Order) -> str:
        return moment(row.placed_at)

    @admin.display(description="decided at (UTC)")
    def decided(self, row: Order) -> str:
        return moment(row.decided_at)

    @admin.display(description="why it was cancelled")
    def reason(self, row: Order) -> str:
        match row.reason:
            case None:
                return NOTHING
            case OutOfStock(lines=lines, detail=detail):
                short = (f"{line.sku}: {line.requested} requested, {line.available} available" for line in lines)
                return f"{detail} {'; '.join(short)}"
            case UnknownReason(detail=detail, data=data):
                return f"{detail} {pretty(data)}"
            case reason:
                return reason.detail

    @admin.display(description="in other contexts")
    def elsewhere(self, row: Order) -> str:
        return list_link("inventory_claim", f"?order_id={row.pk}", "What the inventory holds for it")

    @dialog(
        "Cancel the order",
        text="Whatever is reserved for it is released, and the member sees that the shop cancelled it. "
        "This cannot be undone.",
        submit="Yes, cancel it",
        icon="cancel",
        danger=True,
    )
    def cancel(self, request: HttpRequest, form: Dialog, object_id: str) -> str:
        order = cancel(UUID(object_id))
        self.log_change(request, order, CANCELLED)
        return f"Order {order.pk} is cancelled."

    @admin.action(permissions=["operate"], description="Cancel the orders")
    def cancel_selected(self, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse | None:
        orders = list(queryset)
        question = confirmed(
            self,
            request,
            orders,
            action="cancel_selected",
            title=f"Cancel {counted(len(orders), 'order')}",
            text="Whatever is reserved for them is released. This cannot be undone.",
        )
        if question is None:
            each(self, request, orders, lambda order: cancel(order.pk), done=("order", "cancelled"), log=CANCELLED)
        return question


CANCELLED = "Cancelled for the shop."


def cancel(order_id: UUID) -> Order:
    """Cancel an order on behalf of the shop. :raises UnableToCancel: :raises NotFound:"""
    return services.cancel_order(order_id=order_id, reason=CancelledByStaff(), at=database_time("orders"))


@admin.register(ProductCopy)
class ProductCopyPage(ReadOnlyPage):
    """The orders context's copy of a product."""

    list_display = ("sku", "name", "category", "amount", "listed")
    search_fields = ("sku",)
    search_help_text = "SKU, exactly"
    ordering = ("sku",)
    fields = ("sku", "name", ("category", "amount"), "listed")

    @admin.display(description="price")
    def amount(self, row: ProductCopy) -> str:
        return format_money(row.price, settings.CURRENCY)


@admin.register(MemberCopy)
class MemberCopyPage(ReadOnlyPage):
    """The orders context's copy of a member."""

    list_display = ("member_id", "active")
    search_fields: Sequence[str] = ("member_id",)
    search_help_text = "Member id, exactly"
    ordering = ("member_id",)
