"""What views need to read of the orders context."""

from uuid import UUID

from django.db.models import QuerySet

from orders.events import OrderCancelled, OrderConfirmed, OrderCreated
from orders.models import Order, Status
from shop.errors import NotFound
from shop.messaging.producer import queue_position


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


def place_in_queue(order: Order) -> queue_position.Place | None:
    """Where an open order stands in the inventory's queue; ``None`` once it is decided."""
    if order.status != Status.OPEN:
        return None
    return queue_position.place_in_queue(
        "orders", order.key, consumer="inventory", opens=OrderCreated, answers=(OrderConfirmed, OrderCancelled)
    )
