"""The orders context in the admin."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django import forms
from django.conf import settings
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from unfold.widgets import UnfoldAdminIntegerFieldWidget, UnfoldAdminTextInputWidget

from orders import services
from orders.events import (
    AllotmentExhausted,
    AnyReason,
    CancelledByStaff,
    CreditTooLow,
    OutOfStock,
    UnknownReason,
    read_reason,
)
from orders.models import CampaignCopy, MemberCopy, Order, ProductCopy, Status
from orders.policies import Wanted
from shop.admin.dialogs import Dialog, dialog
from shop.admin.pages import ReadOnlyPage, confirmed, each
from shop.admin.shown import NOTHING, Panel, badge, counted, list_link, moment, page_link, pretty
from shop.databases import database_time
from shop.messaging.admin.timeline import timeline
from shop.values import MAX_QUANTITY, SKU_PATTERN, SKU_RULE, format_money

COLOURS = {Status.OPEN: "info", Status.CONFIRMED: "success", Status.SHIPPED: "primary", Status.CANCELLED: "danger"}


class ReturnForm(Dialog):
    """Goods of one line that came back."""

    sku = forms.RegexField(
        SKU_PATTERN,
        label="SKU",
        widget=UnfoldAdminTextInputWidget,
        error_messages={"invalid": f"It must be {SKU_RULE}."},
    )
    quantity = forms.IntegerField(min_value=1, max_value=MAX_QUANTITY, widget=UnfoldAdminIntegerFieldWidget)


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
    actions_detail = ("ship", "take_back", "cancel")

    def panels(self, request: HttpRequest, row: Order) -> list[Panel]:
        returned = row.returned
        lines = [
            (
                page_link("orders_productcopy", line.sku),
                line.name,
                format_money(line.price, row.currency),
                page_link("orders_campaigncopy", line.campaign_id, "campaign") if line.campaign_id else NOTHING,
                line.quantity,
                returned.get(line.sku, 0),
                format_money(line.price * line.quantity, row.currency),
            )
            for line in row.lines.all()
        ]
        headers = ("SKU", "Product", "Price", "Sold in", "Quantity", "Returned", "Amount")
        return [
            Panel(title="Lines", headers=headers, rows=lines),
            timeline("orders", row.key, title="Timeline", moments=row.history),
        ]

    def get_actions_detail(self, request: HttpRequest, object_id: Any) -> list[Any]:
        order = self.get_object(request, str(object_id))
        if order is None:
            return []
        fitting = {"ship": order.can_be_shipped, "take_back": order.can_be_returned, "cancel": order.can_be_cancelled}
        shown = super().get_actions_detail(request, object_id)
        return [action for action in shown if fitting[action.method.__name__]]

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
            case reason:
                return shown_reason(reason, row.currency)

    @admin.display(description="in other contexts")
    def elsewhere(self, row: Order) -> str:
        return list_link("inventory_claim", f"?order_id={row.pk}", "What the inventory holds for it")

    @dialog(
        "Ship the order",
        text="The goods leave the stock, and what they cost is spent. A shipped order can no longer be cancelled.",
        submit="Yes, it is shipped",
        icon="local_shipping",
    )
    def ship(self, request: HttpRequest, form: Dialog, object_id: str) -> str:
        order = services.ship_order(order_id=UUID(object_id), at=database_time("orders"))
        self.log_change(request, order, "Shipped.")
        return f"Order {order.pk} is shipped."

    @dialog(
        "Take goods back",
        text="They are on sale again, and refunded.",
        submit="Take back",
        icon="assignment_return",
        form=ReturnForm,
    )
    def take_back(self, request: HttpRequest, form: ReturnForm, object_id: str) -> str:
        line = Wanted(form.cleaned_data["sku"], form.cleaned_data["quantity"])
        order = services.return_goods(order_id=UUID(object_id), lines=[line], at=database_time("orders"))
        self.log_change(request, order, f"Returned: {line.quantity} × {line.sku}.")
        return f"{line.quantity} × {line.sku} of order {order.pk} came back."

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


def shown_reason(reason: AnyReason, currency: str) -> str:
    """Write in words why an order was cancelled, with whatever else was refused."""
    match reason:
        case OutOfStock(lines=lines) | AllotmentExhausted(lines=lines):
            values = "; ".join(f"{line.sku}: {line.requested} requested, {line.available} available" for line in lines)
        case CreditTooLow(missing=missing):
            values = f"{format_money(missing, currency)} missing."
        case UnknownReason(data=data):
            values = pretty(data)
        case _:
            values = ""
    further = [shown_reason(read_reason(other), currency) for other in getattr(reason, "also", ())]
    return " ".join([reason.detail, values, *(f"Also: {other}" for other in further)]).strip()


def cancel(order_id: UUID) -> Order:
    """Cancel an order on behalf of the shop. :raises UnableToCancel: :raises NotFound:"""
    return services.cancel_order(order_id=order_id, reason=CancelledByStaff(), at=database_time("orders"))


@admin.register(ProductCopy)
class ProductCopyPage(ReadOnlyPage):
    """The orders context's copy of a product."""

    list_display = ("sku", "name", "category", "amount", "listed", "sold_out")
    search_fields = ("sku",)
    search_help_text = "SKU, exactly"
    ordering = ("sku",)
    fields = ("sku", "name", ("category", "amount"), ("listed", "sold_out"))

    @admin.display(description="price")
    def amount(self, row: ProductCopy) -> str:
        return format_money(row.price, settings.CURRENCY)


@admin.register(CampaignCopy)
class CampaignCopyPage(ReadOnlyPage):
    """The orders context's copy of a campaign."""

    list_display = ("campaign_id", "sku", "amount", "starts", "ends", "state")
    search_fields = ("campaign_id", "sku")
    search_help_text = "Campaign id or SKU, exactly"
    ordering = ("-campaign_id",)
    fields = (
        "campaign_id",
        ("sku", "amount"),
        ("starts", "ends"),
        ("limit_per_member", "allotment"),
        "state",
        "origin",
    )

    @admin.display(description="sale price")
    def amount(self, row: CampaignCopy) -> str:
        return format_money(row.price, settings.CURRENCY)

    @admin.display(description="starts at (UTC)")
    def starts(self, row: CampaignCopy) -> str:
        return moment(row.starts_at)

    @admin.display(description="ends at (UTC)")
    def ends(self, row: CampaignCopy) -> str:
        return moment(row.ends_at)

    @admin.display(description="in marketing")
    def origin(self, row: CampaignCopy) -> str:
        return page_link("marketing_campaign", row.pk, "The campaign")


@admin.register(MemberCopy)
class MemberCopyPage(ReadOnlyPage):
    """The orders context's copy of a member."""

    list_display = ("member_id", "active")
    search_fields: Sequence[str] = ("member_id",)
    search_help_text = "Member id, exactly"
    ordering = ("member_id",)
