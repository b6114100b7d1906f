"""The inventory's reactions to other contexts' events, and its periodic tasks."""

from celery import shared_task
from django.conf import settings

from inventory.campaigns import Sold
from inventory.models import IdempotencyKey
from inventory.services import StockRoom, items_for
from orders.events import OrderCancelled, OrderCreated, OrderEvent, OrderReturned, OrderShipped
from shop.catalogue.events import ProductAdded
from shop.databases import database_time
from shop.idempotency import forget_keys
from shop.messaging.aggregates import store
from shop.messaging.batches import Batch
from shop.messaging.reactions import consumes


@consumes("orders", OrderCreated, OrderCancelled, OrderShipped, OrderReturned, annuls={OrderCancelled: OrderCreated})
def reserve_stock(batch: Batch) -> None:
    """Reserve for each created order in turn, all lines or nothing; release, ship or restock what became of it later.

    Loads once and stores once whatever the batch touches. Orders of one SKU share its item, so each sees what
    those before it reserved; the first in the lane is served first. An order whose cancellation is in the log
    already takes nothing from those that live.
    """
    room = StockRoom(
        orders=[event.order_id for event in batch.of(OrderEvent)],
        skus={line.sku for order in batch.of(OrderCreated) for line in order.lines},
        sold=[
            Sold(line.campaign.id, line.sku, line.campaign.allotment)
            for order in batch.of(OrderCreated)
            for line in order.lines
            if line.campaign is not None
        ],
    )
    now = database_time("inventory")
    for received in batch:
        match received.data:
            case OrderCreated(order_id=order_id) if received.annulled:
                room.void(order_id=order_id, at=now)
            case OrderCreated(order_id=order_id, lines=lines):
                wanted = [(line.sku, line.quantity) for line in lines]
                sold_in = {line.sku: line.campaign.id for line in lines if line.campaign is not None}
                room.reserve(order_id=order_id, lines=wanted, sold_in=sold_in, at=now)
            case OrderCancelled(order_id=order_id):
                room.release(order_id=order_id, at=now)
            case OrderShipped(order_id=order_id):
                room.ship(order_id=order_id, at=now)
            case OrderReturned(order_id=order_id, lines=returned):
                room.take_back(order_id=order_id, totals={line.sku: line.quantity for line in returned}, at=now)
    store(*room.changed())


@consumes("catalogue", ProductAdded)
def open_stock_items(batch: Batch) -> None:
    """Make an empty stock item for each new product of the catalogue."""
    items = items_for(event.sku for event in batch.of(ProductAdded))
    store(*(item for item in items.values() if item.recorded))


@shared_task
def forget_idempotency_keys() -> None:
    """Delete Idempotency-Keys that are older than their life."""
    forget_keys(IdempotencyKey, at=database_time("inventory"), life=settings.IDEMPOTENCY_KEY_LIFE)
