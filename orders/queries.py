"""Queries of the orders context, for its views."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from django.db import connections
from django.db.models import QuerySet

from orders.events import OrderCancelled, OrderConfirmed, OrderCreated
from orders.models import Order, Status
from orders.policies import Sale
from shop.errors import NotFound
from shop.messaging.producer import queue_position


def orders() -> "QuerySet[Order]":
    """Select orders with their lines, in two queries for any number."""
    everything: QuerySet[Order] = Order.objects.prefetch_related("lines")
    return everything


def order(order_id: UUID) -> Order:
    """Load an order with its lines. :raises NotFound:"""
    order = orders().filter(pk=order_id).first()
    if order is None:
        raise NotFound(f"There is no order {order_id}.")
    return order


class Admission(NamedTuple):
    """What taking an order in needs to know beside the products."""

    now: datetime
    """The time at which it is placed."""
    inactive: bool
    """Whether the member is."""
    sales: dict[str, Sale]
    """The campaigns that run at that time, by SKU."""


# One round trip for all of it: intake is the hot path. Windows of one product do not overlap, but copies of two
# campaigns may for a moment, while the news that one was ended is on its way: the later campaign counts.
ADMISSION = """
WITH moment AS (SELECT coalesce(%(at)s, statement_timestamp()) AS now)
SELECT now, EXISTS (SELECT FROM orders_membercopy WHERE member_id = %(member_id)s AND NOT active), (
    SELECT json_agg(json_build_array(sku, campaign_id, price, limit_per_member, allotment) ORDER BY campaign_id)
    FROM orders_campaigncopy
    WHERE sku = ANY(%(skus)s) AND state = 'scheduled' AND starts_at <= now AND ends_at > now
) FROM moment
"""


def admission(member_id: int, skus: Sequence[str], *, at: datetime | None = None) -> Admission:
    """Look up what placing an order needs, at the database's time unless one is given."""
    with connections["orders"].cursor() as cursor:
        cursor.execute(ADMISSION, {"member_id": member_id, "skus": list(skus), "at": at})
        now, inactive, running = cursor.fetchone()
    sales = {sku: Sale(UUID(id), price, limit, allotment) for sku, id, price, limit, allotment in running or ()}
    return Admission(now, inactive, sales)


def place_in_queue(order: Order) -> queue_position.Place | None:
    """Locate an open order in the inventory's queue; ``None`` once it is decided."""
    if order.status != Status.OPEN:
        return None
    return queue_position.place_in_queue(
        "orders", order.key, consumer="inventory", opens=OrderCreated, answers=(OrderConfirmed, OrderCancelled)
    )
