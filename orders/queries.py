"""Queries of the orders context, for its views."""

from datetime import datetime
from uuid import UUID

from django.db import connections
from django.db.models import QuerySet

from orders.events import OrderCancelled, OrderConfirmed, OrderCreated
from orders.models import Order, Status
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


# One round trip for both: intake is the hot path.
ADMISSION = """
SELECT statement_timestamp(), EXISTS (SELECT FROM orders_membercopy WHERE member_id = %s AND NOT active)
"""


def admission(member_id: int) -> tuple[datetime, bool]:
    """Return the database's time, and whether the member is inactive."""
    with connections["orders"].cursor() as cursor:
        cursor.execute(ADMISSION, [member_id])
        now, inactive = cursor.fetchone()
    return now, inactive


def place_in_queue(order: Order) -> queue_position.Place | None:
    """Locate an open order in the inventory's queue; ``None`` once it is decided."""
    if order.status != Status.OPEN:
        return None
    return queue_position.place_in_queue(
        "orders", order.key, consumer="inventory", opens=OrderCreated, answers=(OrderConfirmed, OrderCancelled)
    )
