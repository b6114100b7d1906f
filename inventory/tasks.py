"""How the inventory reacts to what others say."""

from celery import shared_task
from django.conf import settings
from django.utils import timezone

from inventory.models import IdempotencyKey
from inventory.services import StockRoom, items_for
from orders.events import OrderCancelled, OrderCreated, OrderEvent
from shop.catalogue.events import ProductAdded
from shop.idempotency import forget_keys
from shop.messaging.aggregates import store
from shop.messaging.batches import Batch
from shop.messaging.reactions import consumes


@consumes("orders", OrderCreated, OrderCancelled)
def reserve_stock(batch: Batch) -> None:
    """Reserve for each created order in turn, all lines or nothing; release for each that was cancelled.

    Everything the batch touches is loaded once and stored once. Orders of one SKU see each other, since
    they share its item; the first in the lane is served first.
    """
    room = StockRoom(
        orders=[fact.order_id for fact in batch.of(OrderEvent)],
        skus={line.sku for order in batch.of(OrderCreated) for line in order.lines},
    )
    now = timezone.now()
    for received in batch:
        match received.data:
            case OrderCreated(order_id=order_id, lines=lines):
                room.reserve(order_id=order_id, lines=((line.sku, line.quantity) for line in lines), at=now)
            case OrderCancelled(order_id=order_id):
                room.release(order_id=order_id, at=now)
    store(*room.changed())


@consumes("catalogue", ProductAdded)
def open_stock_items(batch: Batch) -> None:
    """Have an item, with nothing in it, for each product of the catalogue."""
    items = items_for(event.sku for event in batch.of(ProductAdded))
    store(*(item for item in items.values() if item.recorded))


@shared_task
def forget_idempotency_keys() -> None:
    """Delete the keys that no client will send again."""
    forget_keys(IdempotencyKey, at=timezone.now(), life=settings.IDEMPOTENCY_KEY_LIFE)
