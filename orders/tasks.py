"""The orders context's reactions to other contexts' events, and its periodic tasks."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from celery import shared_task
from django.conf import settings
from django.db import models

from inventory.events import InventoryAnswer, InventoryLocked, InventoryLockFailed
from orders import services
from orders.events import OutOfStock, Short
from orders.models import IdempotencyKey, MemberCopy, Order, ProductCopy, Status
from shop.catalogue.events import ProductAdded, ProductChanged, ProductDelisted, ProductEvent, ProductListed
from shop.databases import database_time
from shop.idempotency import forget_keys
from shop.members.events import MemberChanged, MemberEvent, MemberJoined
from shop.messaging.aggregates import store
from shop.messaging.batches import Batch
from shop.messaging.reactions import consumes


@consumes("inventory", InventoryLocked, InventoryLockFailed)
def settle_orders(batch: Batch) -> None:
    """Confirm each order whose stock is reserved; cancel each whose stock is short.

    An answer for an order that was cancelled meanwhile changes nothing: the inventory hears of the cancellation
    too, and then releases. A late refusal cancels a confirmed order. An answer for an order that this database
    does not have, since it was restored, is left for the audit to report.
    """
    ids = [answer.order_id for answer in batch.of(InventoryAnswer)]
    orders = {order.pk: order for order in Order.objects.filter(pk__any_of=ids).order_by("pk").select_for_update()}
    now = database_time("orders")
    for received in batch:
        match received.data, orders.get(UUID(received.key)):
            case InventoryLocked(), Order(status=Status.OPEN) as order:
                order.confirm(at=now)
            case InventoryLockFailed(short=short), Order(can_be_cancelled=True) as order:
                lines = tuple(Short(sku=s.sku, requested=s.requested, available=s.available) for s in short)
                order.cancel(reason=OutOfStock(lines=lines), at=now)
    store(*(order for order in orders.values() if order.recorded))


@consumes("catalogue", ProductAdded, ProductChanged, ProductListed, ProductDelisted)
def copy_products(batch: Batch) -> None:
    """Copy the few fields of each product that pricing an order needs.

    Listing a product that is unknown here, since an operator discarded the event that added it, does nothing.
    """
    skus = {event.sku for event in batch.of(ProductEvent)}
    copies = ProductCopy.objects.in_bulk(skus)
    for received in batch:
        match received.data:
            case ProductAdded(sku=sku) | ProductChanged(sku=sku) as product:
                copies[sku] = ProductCopy(
                    sku=sku, name=product.name, category=product.category, price=product.price, listed=product.listed
                )
            case ProductListed(sku=sku) if sku in copies:
                copies[sku].listed = True
            case ProductDelisted(sku=sku) if sku in copies:
                copies[sku].listed = False
    _upsert(copies, "sku", ["name", "category", "price", "listed"])


@consumes("members", MemberJoined, MemberChanged)
def copy_members(batch: Batch) -> None:
    """Copy whether each member may place orders."""
    copies = {
        event.member_id: MemberCopy(member_id=event.member_id, active=event.active) for event in batch.of(MemberEvent)
    }
    _upsert(copies, "member_id", ["active"])


def _upsert(copies: Mapping[Any, models.Model], key: str, fields: list[str]) -> None:
    """Insert or update copies, in the order of their keys."""
    rows = [copies[pk] for pk in sorted(copies)]
    if rows:
        type(rows[0])._default_manager.bulk_create(
            rows, update_conflicts=True, unique_fields=[key], update_fields=fields
        )


@shared_task
def expire_open_orders() -> None:
    """Cancel orders that were not decided in time."""
    services.expire_open_orders(at=database_time("orders"), limit=settings.ORDER_TIME_LIMIT)


@shared_task
def forget_idempotency_keys() -> None:
    """Delete Idempotency-Keys that are older than their life."""
    forget_keys(IdempotencyKey, at=database_time("orders"), life=settings.IDEMPOTENCY_KEY_LIFE)
