"""The inventory in the admin."""

from collections.abc import Sequence
from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from unfold.widgets import UnfoldAdminIntegerFieldWidget, UnfoldAdminTextInputWidget

from inventory import policies, services
from inventory.models import Allotment, Claim, Reservation, StockItem, StockMovement
from shop.admin.dialogs import Dialog, dialog
from shop.admin.pages import ReadOnlyPage
from shop.admin.shown import NOTHING, Panel, badge, list_link, moment, more, page_link
from shop.databases import database_time
from shop.messaging.admin.timeline import events_of_key, timeline
from shop.values import SKU_PATTERN, SKU_RULE

LEDGER_ROWS = 50  # movements that an item's page shows

COLOURS = {
    Claim.Status.LOCKED: "success",
    Claim.Status.FAILED: "danger",
    Claim.Status.RELEASED: "",
    Claim.Status.SHIPPED: "primary",
}


class ReceiveForm(Dialog):
    """A receipt of goods."""

    quantity = forms.IntegerField(min_value=1, max_value=policies.MAX_MOVEMENT, widget=UnfoldAdminIntegerFieldWidget)
    note = forms.CharField(max_length=200, required=False, widget=UnfoldAdminTextInputWidget)


class ReceiveNewForm(ReceiveForm):
    """A receipt of goods; the SKU may be new."""

    sku = forms.RegexField(
        SKU_PATTERN,
        label="SKU",
        widget=UnfoldAdminTextInputWidget,
        error_messages={"invalid": f"It must be {SKU_RULE}."},
    )
    field_order = ("sku", "quantity", "note")


class AdjustForm(Dialog):
    """The difference that a stock count found."""

    quantity = forms.IntegerField(
        min_value=-policies.MAX_MOVEMENT,
        max_value=policies.MAX_MOVEMENT,
        widget=UnfoldAdminIntegerFieldWidget,
        help_text="The difference to the books: positive if the count found more, negative if less.",
    )
    note = forms.CharField(max_length=200, widget=UnfoldAdminTextInputWidget, help_text="The reason, for the ledger.")

    def clean_quantity(self) -> int:
        quantity: int = self.cleaned_data["quantity"]
        if quantity == 0:
            raise forms.ValidationError("An adjustment of 0 changes nothing.")
        return quantity


@admin.register(StockItem)
class StockItemPage(ReadOnlyPage):
    """How much there is of a SKU, and the ledger that says why."""

    list_display = ("sku", "available", "reserved")
    search_fields = ("sku",)
    search_help_text = "SKU, exactly"
    empty = "Nothing is in stock yet. Receive some goods."
    ordering = ("sku",)
    fields = ("sku", ("available", "reserved"), "events")
    actions_list = ("receive_new",)
    actions_detail = ("receive", "adjust")

    def panels(self, request: HttpRequest, row: StockItem) -> list[Panel]:
        movements = StockMovement.objects.filter(sku=row.sku).order_by("-id")[:LEDGER_ROWS]
        rows = [(moment(move.at), kind(move), *effect(move), cause(move), move.note) for move in movements]
        return [
            Panel(
                title=f"Ledger (the newest {LEDGER_ROWS} movements)",
                headers=("Time (UTC)", "Movement", "Available", "Reserved", "Order", "Note"),
                rows=rows,
                empty="No movements yet. Receive some goods.",
                more=more("inventory_stockmovement", f"?sku={row.sku}", "All movements of this SKU"),
            )
        ]

    @admin.display(description="announcements")
    def events(self, row: StockItem) -> str:
        return events_of_key("inventory", row.sku)

    @dialog(
        "Receive",
        text="The goods are available for sale at once.",
        submit="Receive",
        icon="add",
        form=ReceiveForm,
    )
    def receive(self, request: HttpRequest, form: ReceiveForm, object_id: str) -> str:
        return self._receive(request, sku=object_id, **received(form))

    @dialog(
        "Receive goods",
        text="The SKU may be new: goods may arrive before the catalogue announces the product.",
        submit="Receive",
        icon="add",
        form=ReceiveNewForm,
    )
    def receive_new(self, request: HttpRequest, form: ReceiveNewForm) -> str:
        return self._receive(request, sku=form.cleaned_data["sku"], **received(form))

    @dialog(
        "Adjust",
        text="Correct the books to what a count found.",
        submit="Adjust",
        icon="tune",
        form=AdjustForm,
    )
    def adjust(self, request: HttpRequest, form: AdjustForm, object_id: str) -> str:
        counted = received(form)
        item = services.adjust_stock(sku=object_id, at=database_time("inventory"), **counted)
        self.log_change(request, item, f"Adjusted by {counted['quantity']}: {counted['note']}")
        return f"{item.sku} is adjusted by {counted['quantity']}: {item.available} are available now."

    def _receive(self, request: HttpRequest, *, sku: str, quantity: int, note: str) -> str:
        item = services.receive_stock(sku=sku, quantity=quantity, note=note, at=database_time("inventory"))
        self.log_change(request, item, f"Received {quantity}.")
        return f"{quantity} of {sku} received: {item.available} are available now."


def received(form: Dialog) -> dict[str, Any]:
    """Return the form's quantity and note."""
    return {"quantity": form.cleaned_data["quantity"], "note": form.cleaned_data["note"]}


def kind(move: StockMovement) -> str:
    """Render a movement's kind as a badge."""
    colours = {
        policies.RECEIVED: "success",
        policies.RESERVED: "info",
        policies.SHIPPED: "primary",
        policies.RETURNED: "success",
        policies.ADJUSTED: "warning",
    }
    return badge(move.kind, colours.get(move.kind, ""))


def effect(move: StockMovement) -> tuple[str, str]:
    """Return a movement's effect on available and on reserved, signed."""
    available, reserved = (by * move.quantity for by in policies.EFFECTS[move.kind])
    return (f"{available:+}" if available else ""), (f"{reserved:+}" if reserved else "")


def cause(move: StockMovement) -> str:
    """Link the claim of the order that a movement was for."""
    return page_link("inventory_claim", move.order_id) if move.order_id else NOTHING


class KindFilter(admin.SimpleListFilter):
    """Filter by kind. Offered for one SKU only: the index is by SKU first."""

    title = "movement"
    parameter_name = "kind"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return list(StockMovement.Kind.choices) if request.GET.get("sku") else []

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(kind=self.value()) if self.value() else queryset


@admin.register(StockMovement)
class StockMovementPage(ReadOnlyPage):
    """The ledger, newest first."""

    list_display = ("id", "at_time", "item", "movement", "to_available", "to_reserved", "order", "note")
    search_fields = ("sku", "order_id")
    search_help_text = "SKU or order id, exactly"
    list_filter = (KindFilter,)
    lookups = ("sku", "order_id")
    ordering = ("-id",)
    fields = ("item", ("movement", "at_time"), ("to_available", "to_reserved"), "order", "note")

    @admin.display(description="at (UTC)")
    def at_time(self, row: StockMovement) -> str:
        return moment(row.at)

    @admin.display(description="SKU")
    def item(self, row: StockMovement) -> str:
        return page_link("inventory_stockitem", row.sku)

    @admin.display
    def movement(self, row: StockMovement) -> str:
        return kind(row)

    @admin.display(description="available")
    def to_available(self, row: StockMovement) -> str:
        return effect(row)[0]

    @admin.display(description="reserved")
    def to_reserved(self, row: StockMovement) -> str:
        return effect(row)[1]

    @admin.display
    def order(self, row: StockMovement) -> str:
        return cause(row)


@admin.register(Allotment)
class AllotmentPage(ReadOnlyPage):
    """How much of each campaign is taken."""

    list_display = ("campaign_id", "sku", "allotment", "taken", "left")
    search_fields = ("campaign_id",)
    search_help_text = "Campaign id, exactly"
    empty = "Nothing was sold in a campaign yet."
    ordering = ("-campaign_id",)
    fields = ("campaign_id", "sku", ("allotment", "taken"), "left", "origin")

    @admin.display
    def left(self, row: Allotment) -> int:
        return row.left

    @admin.display(description="in marketing")
    def origin(self, row: Allotment) -> str:
        return page_link("marketing_campaign", row.pk, "The campaign")


@admin.register(Claim)
class ClaimPage(ReadOnlyPage):
    """What an order claims of the stock, and the answer it got."""

    list_display = ("order_id", "state", "held", "short_lines", "answered")
    search_fields = ("order_id",)
    search_help_text = "Order id, exactly"
    empty = "No order has arrived yet."
    lookups = ("order_id",)
    ordering = ("-order_id",)
    fields = (("order_id", "state"), ("order", "answered"), "short_lines", "movements")

    def complete(self, request: HttpRequest, rows: Sequence[Claim]) -> None:
        by_claim: dict[Any, list[Reservation]] = {}
        for reservation in Reservation.objects.filter(claim__in=[row.pk for row in rows]):
            by_claim.setdefault(reservation.claim_id, []).append(reservation)
        for row in rows:
            row.held = by_claim.get(row.pk, [])  # type: ignore[attr-defined]

    def panels(self, request: HttpRequest, row: Any) -> list[Panel]:
        reservations = [(page_link("inventory_stockitem", each.sku), each.quantity, each.returned) for each in row.held]
        title = "Reservations" if row.status == Claim.Status.LOCKED else f"Reservations ({row.status})"
        headers = ("SKU", "Quantity", "Returned")
        return [
            Panel(title=title, headers=headers, rows=reservations, empty="Nothing was reserved."),
            timeline("inventory", row.key, title="Answers", moments=[("answered", row.answered_at)]),
        ]

    @admin.display(description="status")
    def state(self, row: Claim) -> str:
        return badge(row.outcome.label, COLOURS[row.outcome])

    @admin.display(description="reservations")
    def held(self, row: Any) -> str:
        return ", ".join(str(reservation) for reservation in row.held) or NOTHING

    @admin.display
    def short_lines(self, row: Claim) -> str:
        lines = [f"{line['sku']}: {line['requested']} requested, {line['available']} available" for line in row.short]
        lines += [
            f"{line['sku']}: {line['requested']} requested, {line['available']} left of the campaign"
            for line in row.exhausted
        ]
        return "; ".join(lines) or NOTHING

    @admin.display(description="answered at (UTC)")
    def answered(self, row: Claim) -> str:
        return moment(row.answered_at)

    @admin.display
    def order(self, row: Claim) -> str:
        return page_link("orders_order", row.pk, "The order")

    @admin.display
    def movements(self, row: Claim) -> str:
        return list_link("inventory_stockmovement", f"?order_id={row.pk}", "Movements for the order")
