"""Credit accounts in the admin: what they are now, and the stream that says why."""

from collections.abc import Sequence
from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin
from django.http import HttpRequest

from shop.admin.dialogs import Dialog, dialog
from shop.admin.money import MoneyField
from shop.admin.pages import ReadOnlyPage
from shop.admin.shown import NOTHING, Panel, badge, moment, more, page_link
from shop.members import queries, services
from shop.members.credit.account import Account
from shop.members.models import CreditAccount, StreamEvent
from shop.messaging.admin.timeline import events_of_key
from shop.values import MAX_CREDIT, format_amount, format_money

LINES = 50  # events that an account's page shows

COLOURS = {
    StreamEvent.Type.RESERVED: "info",
    StreamEvent.Type.REFUSED: "danger",
    StreamEvent.Type.SPENT: "primary",
    StreamEvent.Type.REFUNDED: "success",
    StreamEvent.Type.LIMIT_CHANGED: "warning",
}


class LimitForm(Dialog):
    """A new limit."""

    limit: forms.Field = MoneyField(currency=settings.CURRENCY, most=MAX_CREDIT)


def amount(value: int | None) -> str:
    """Format minor units, without the currency."""
    return NOTHING if value is None else format_amount(value, settings.CURRENCY)


def summary(member_id: int) -> str:
    """Say how much credit a member has left."""
    account = queries.credit_of(member_id)
    return f"{amount(account.available)} of {format_money(account.limit, settings.CURRENCY)} available"


@admin.register(CreditAccount)
class CreditAccountPage(ReadOnlyPage):
    """A member's credit: its limit, and what is reserved and spent of it."""

    list_display = ("member_id", "limit_now", "reserved_now", "spent_now", "available_now")
    search_fields = ("member_id",)
    search_help_text = "Member id, exactly"
    empty = "No member has an account yet."
    ordering = ("member_id",)
    fields = (
        ("member", "version_now"),
        ("limit_now", "available_now"),
        ("reserved_now", "spent_now"),
        ("snapshot", "events"),
    )
    actions_detail = ("change_limit",)

    def complete(self, request: HttpRequest, rows: Sequence[CreditAccount]) -> None:
        states = queries.credit_of_all(row.member_id for row in rows)
        for row in rows:
            row.state = states[row.member_id]

    def panels(self, request: HttpRequest, row: CreditAccount) -> list[Panel]:
        lines = list(StreamEvent.objects.filter(member_id=row.member_id).order_by("-version")[:LINES])
        after = queries.balances(lines)
        return [
            Panel(
                title=f"Stream (the newest {LINES} events)",
                headers=(
                    "Version",
                    "Time (UTC)",
                    "Event",
                    "Amount",
                    "Limit",
                    "Reserved",
                    "Spent",
                    "Available",
                    "Order",
                ),
                rows=[
                    (line.version, moment(line.at), kind(line), moved(line), *balance(after[line.pk]), order(line))
                    for line in lines
                ],
                empty="No events yet.",
                more=more("members_streamevent", f"?member_id={row.member_id}", "All events of this account"),
            )
        ]

    @admin.display
    def member(self, row: CreditAccount) -> str:
        return page_link("members_member", row.member_id)

    @admin.display(description="version")
    def version_now(self, row: CreditAccount) -> int:
        return row.state.version

    @admin.display(description="limit")
    def limit_now(self, row: CreditAccount) -> str:
        return amount(row.state.limit)

    @admin.display(description="reserved")
    def reserved_now(self, row: CreditAccount) -> str:
        return amount(row.state.reserved)

    @admin.display(description="spent")
    def spent_now(self, row: CreditAccount) -> str:
        return amount(row.state.spent)

    @admin.display(description="available")
    def available_now(self, row: CreditAccount) -> str:
        return amount(row.state.available)

    @admin.display
    def snapshot(self, row: CreditAccount) -> str:
        return f"at version {row.version}"

    @admin.display(description="announcements")
    def events(self, row: CreditAccount) -> str:
        return events_of_key("members", row.key)

    @dialog(
        "Change the limit",
        text="It counts from the next order on. It cannot be less than what is reserved and spent.",
        submit="Change it",
        icon="tune",
        form=LimitForm,
    )
    def change_limit(self, request: HttpRequest, form: LimitForm, object_id: str) -> str:
        account = services.change_limit(member_id=int(object_id), limit=form.cleaned_data["limit"])
        limit = format_money(account.limit, settings.CURRENCY)
        self.log_change(request, CreditAccount(member_id=account.member_id), f"Limit changed to {limit}.")
        return f"The limit of member {account.member_id} is {limit}: {amount(account.available)} are available."


def kind(line: StreamEvent) -> str:
    """Render what happened as a badge."""
    return badge(line.get_type_display(), COLOURS.get(StreamEvent.Type(line.type), ""))


def moved(line: StreamEvent) -> str:
    """Format the amount that an order moved, or asked for."""
    return amount(line.data.get("amount"))


def balance(account: Account) -> tuple[str, str, str, str]:
    """Return limit, reserved, spent and available."""
    return amount(account.limit), amount(account.reserved), amount(account.spent), amount(account.available)


def order(line: StreamEvent) -> str:
    """Link the order that was the cause."""
    return page_link("orders_order", line.order_id) if line.order_id else NOTHING


@admin.register(StreamEvent)
class StreamEventPage(ReadOnlyPage):
    """The streams of all accounts, newest first, with the balance after each event."""

    list_display = ("id", "at_time", "account", "version", "event", "moved", "reserved", "spent", "available", "cause")
    search_fields = ("member_id", "order_id")
    search_help_text = "Member id or order id, exactly"
    lookups = ("member_id", "order_id")
    ordering = ("-id",)
    fields = (
        ("account", "version"),
        ("event", "at_time"),
        "moved",
        ("limit", "available"),
        ("reserved", "spent"),
        "cause",
    )

    def complete(self, request: HttpRequest, rows: Sequence[Any]) -> None:
        after = queries.balances(rows)
        for row in rows:
            row.limit, row.reserved, row.spent, row.available = balance(after[row.pk])

    @admin.display(description="at (UTC)")
    def at_time(self, row: StreamEvent) -> str:
        return moment(row.at)

    @admin.display(description="member")
    def account(self, row: StreamEvent) -> str:
        return page_link("members_creditaccount", row.member_id)

    @admin.display
    def event(self, row: StreamEvent) -> str:
        return kind(row)

    @admin.display(description="amount")
    def moved(self, row: StreamEvent) -> str:
        return moved(row)

    @admin.display
    def limit(self, row: Any) -> str:
        return str(row.limit)

    @admin.display
    def reserved(self, row: Any) -> str:
        return str(row.reserved)

    @admin.display
    def spent(self, row: Any) -> str:
        return str(row.spent)

    @admin.display
    def available(self, row: Any) -> str:
        return str(row.available)

    @admin.display(description="order")
    def cause(self, row: StreamEvent) -> str:
        return order(row)
