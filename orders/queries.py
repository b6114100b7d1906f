"""What views need to read of the orders context."""

import math
from typing import Any, NamedTuple
from uuid import UUID

from django.db import connections
from django.db.models import QuerySet

from orders.events import OrderCancelled, OrderConfirmed, OrderCreated
from orders.models import Order, Status
from shop.errors import NotFound
from shop.messaging.outbox import lane_of, lanes_of

QUEUE_CAP = 1_000  # events counted ahead of an order, at the most
RATE_ROWS = 100  # newest events of a lane that its rate is measured on
RATE_REACH = 10_000  # positions, of all lanes, among which they are looked for


class Place(NamedTuple):
    """Where an open order stands in its lane's queue."""

    position: int
    """Events of its lane ahead of it that inventory has yet to acknowledge; 0: its own is next, or done."""
    eta_seconds: int | None
    """Until it is decided, at the lane's recent rate; ``None`` while nothing was decided recently."""


# Up to ``scanned`` the inventory has acknowledged every event of the lane, or did not want it.
BOUNDS = """
SELECT (SELECT last_value FROM orders_outboxevent_position),
       coalesce((SELECT scanned FROM orders_subscription WHERE consumer = 'inventory' AND lane = %(lane)s), 0)
"""

# An order's events are all in one lane, and its first is OrderCreated. The rate is that of decisions, since the
# oldest of the newest events. Bounds that are constants prune all partitions but one or two before planning.
PLACE = """
SELECT ahead.events, ahead.orders, newest.decided / greatest(newest.seconds, 0.001) AS rate
FROM (
    SELECT count(*) AS events, count(*) FILTER (WHERE type = %(created)s) AS orders FROM (
        SELECT type FROM orders_outboxevent
        WHERE lane = %(lane)s AND position > %(scanned)s AND position <= %(head)s
          AND position < (
              SELECT min(position) FROM orders_outboxevent
              WHERE key = %(key)s AND position > %(scanned)s AND position <= %(head)s
          )
        LIMIT %(cap)s
    ) AS counted
) AS ahead, (
    SELECT count(*) FILTER (WHERE type = ANY(%(decided)s)) AS decided,
           extract(epoch FROM clock_timestamp() - min(recorded_at))::float AS seconds
    FROM (
        SELECT type, recorded_at FROM orders_outboxevent
        WHERE lane = %(lane)s AND position > %(head)s - %(reach)s AND position <= %(head)s
        ORDER BY position DESC LIMIT %(rows)s
    ) AS timed
) AS newest
"""


def orders() -> "QuerySet[Order]":
    """Orders with their lines, in two queries for any number."""
    found: QuerySet[Order] = Order.objects.prefetch_related("lines")
    return found


def order(order_id: UUID) -> Order:
    """An order with its lines. :raises NotFound:"""
    found = orders().filter(pk=order_id).first()
    if found is None:
        raise NotFound(f"There is no order {order_id}.")
    return found


def place_in_queue(order: Order) -> Place | None:
    """Where an open order stands; ``None`` once it is decided. No structure keeps it: it is counted, up to a cap."""
    if order.status != Status.OPEN:
        return None
    asked: dict[str, Any] = {
        "lane": lane_of(order.key, lanes_of("orders")),
        "key": order.key,
        "created": OrderCreated.wire_name,
        "decided": [OrderConfirmed.wire_name, OrderCancelled.wire_name],
        "cap": QUEUE_CAP,
        "rows": RATE_ROWS,
        "reach": RATE_REACH,
    }
    with connections["orders"].cursor() as cursor:
        cursor.execute(BOUNDS, asked)
        asked["head"], asked["scanned"] = cursor.fetchone()
        cursor.execute(PLACE, asked)
        position, orders_ahead, rate = cursor.fetchone()
    return Place(position, math.ceil((orders_ahead + 1) / rate) if rate else None)
