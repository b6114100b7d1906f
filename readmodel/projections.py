"""How events change the read model, set-wise."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Literal

from django.db import connections

from orders.events import (
    OrderCancelled,
    OrderConfirmed,
    OrderCreated,
    OrderEvent,
    OrderReturned,
    OrderShipped,
    Returned,
    read_reason,
)
from readmodel import services
from readmodel.models import OrderView
from shop.members.events import MemberEvent
from shop.messaging.batches import Batch
from shop.setwise import rows

DECIDED = ("status", "reason", "decided_at", "history")

LIVED = (*DECIDED, "lines")
"""What a return changes too. Most batches have none, and their rows are not read whole."""

# A name may come before or after the orders that show it: two sources have no mutual order. A blank row is
# made if it is missing, and held until the commit, so that either side sees what the other wrote.
#
# Every reaction takes name rows by these two statements: it inserts what is missing, then locks them all. Each
# goes by primary key, and nobody who inserts waits for a row that was locked, so no two deadlock.
MAKE_NAMES = """
INSERT INTO readmodel_membername (member_id, name)
SELECT id, '' FROM unnest(%(ids)s::bigint[]) AS id ORDER BY id ON CONFLICT DO NOTHING
"""
HOLD_NAMES = """
SELECT member_id, name FROM readmodel_membername WHERE member_id = ANY(%(ids)s) ORDER BY member_id FOR {strength}
"""

SET_NAMES = """
UPDATE readmodel_membername AS m SET name = new.name
FROM unnest(%(ids)s::bigint[], %(names)s::text[]) AS new (id, name) WHERE m.member_id = new.id
"""


def project_orders(batch: Batch) -> None:
    """Insert or update the row of each order of the batch.

    Events of an order that has no row, since an operator discarded its creation, change nothing.
    """
    names = _held_names({order.member_id for order in batch.of(OrderCreated)}, "SHARE")
    ids = {event.order_id for event in batch.of(OrderEvent)}
    fields = LIVED if batch.of(OrderReturned) else DECIDED
    known = OrderView.objects.filter(pk__any_of=ids).only(*fields).order_by("pk").select_for_update()
    shown = {view.pk: view for view in known}
    created = {order.order_id: _view(order, names) for order in batch.of(OrderCreated) if order.order_id not in shown}
    views = created | shown
    for received in batch:
        match received.data:
            case OrderConfirmed(order_id=order_id, at=at) if order_id in views:
                _move(views[order_id], "confirmed", at)
            case OrderCancelled(order_id=order_id, at=at, reason=reason) if order_id in views:
                _move(views[order_id], "cancelled", at)
                views[order_id].reason = reason
            case OrderShipped(order_id=order_id, at=at) if order_id in views:
                _move(views[order_id], "shipped", at)
            case OrderReturned(order_id=order_id, lines=lines) if order_id in views:
                _take_back(views[order_id], lines)
    if shown:
        rows.update("readmodel", [shown[pk] for pk in sorted(shown)], fields)
    if created:
        rows.insert("readmodel", [created[pk] for pk in sorted(created)])


def project_members(batch: Batch) -> None:
    """Set the name of each member of the batch, and show new names beside the members' orders."""
    names = {event.member_id: event.name for event in batch.of(MemberEvent)}
    known = _held_names(names, "UPDATE")
    renamed = [member_id for member_id in sorted(names) if names[member_id] != known[member_id]]
    if renamed:
        with connections["readmodel"].cursor() as cursor:
            cursor.execute(SET_NAMES, {"ids": renamed, "names": [names[member_id] for member_id in renamed]})
        services.show_names(renamed)


def shown_reason(view: OrderView) -> dict[str, Any] | None:
    """Return why the order was cancelled, in the words of the orders context."""
    return None if view.reason is None else read_reason(view.reason).shown()


def _held_names(ids: Iterable[int], strength: Literal["SHARE", "UPDATE"]) -> dict[int, str]:
    """Lock the names of these members until the commit, and return them; blank where not known yet."""
    members = list(ids)
    if not members:
        return {}
    with connections["readmodel"].cursor() as cursor:
        cursor.execute(MAKE_NAMES, {"ids": members})
        cursor.execute(HOLD_NAMES.format(strength=strength), {"ids": members})
        return dict(cursor.fetchall())


def _view(order: OrderCreated, names: dict[int, str]) -> OrderView:
    return OrderView(
        id=order.order_id,
        member_id=order.member_id,
        member_name=names[order.member_id],
        status="open",
        total=order.total,
        currency=order.currency,
        lines=[
            {"sku": line.sku, "name": line.name, "quantity": line.quantity, "price": line.price} for line in order.lines
        ],
        placed_at=order.placed_at,
        history=[{"status": "open", "at": order.placed_at.isoformat()}],
    )


def _move(view: OrderView, status: str, at: datetime) -> None:
    """Set the row's status. An event that the row shows already changes nothing."""
    if any(entry["status"] == status for entry in view.history):
        return
    view.status = status
    view.decided_at = view.decided_at or at
    view.history = [*view.history, {"status": status, "at": at.isoformat()}]


def _take_back(view: OrderView, lines: Iterable[Returned]) -> None:
    """Set what came back of each line. Every return tells the sums, so an older one never lowers them."""
    returned = {line.sku: line.quantity for line in lines}
    view.lines = [
        {**line, "returned": max(returned.get(line["sku"], 0), line.get("returned", 0))} for line in view.lines
    ]
