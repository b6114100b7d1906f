"""The orders context's reactions to other contexts' events, and its periodic tasks."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

import msgspec
from celery import shared_task
from django.conf import settings
from django.db import models

from inventory.events import (
    Availability,
    InventoryAnswer,
    InventoryLocked,
    InventoryLockFailed,
    Shortage,
    StockDepleted,
    StockReplenished,
)
from orders import services
from orders.events import AllotmentExhausted, CreditTooLow, OutOfStock, Refusal, Short
from orders.models import CampaignCopy, IdempotencyKey, MemberCopy, ProductCopy
from shop.catalogue.events import ProductAdded, ProductChanged, ProductDelisted, ProductEvent, ProductListed
from shop.databases import database_time
from shop.idempotency import forget_keys
from shop.marketing.events import (
    CampaignChanged,
    CampaignDetails,
    CampaignEnded,
    CampaignEvent,
    CampaignResumed,
    CampaignScheduled,
    CampaignSuspended,
)
from shop.members.events import (
    CreditMovement,
    CreditRefused,
    CreditReserved,
    MemberChanged,
    MemberEvent,
    MemberJoined,
)
from shop.messaging.batches import Batch
from shop.messaging.reactions import consumes

A = TypeVar("A", InventoryAnswer, CreditMovement)


@consumes("inventory", InventoryLocked, InventoryLockFailed)
def settle_orders(batch: Batch) -> None:
    """Note for each order whether its stock is reserved; confirm it if all participants agreed, cancel it if not."""
    _settle(batch, InventoryAnswer, _shortage, participant="inventory")


@consumes("members", CreditReserved, CreditRefused, name="credit")
def settle_credit(batch: Batch) -> None:
    """Note for each order whether the member's credit covers it, as :func:`settle_orders` does for its stock."""
    _settle(batch, CreditMovement, _missing_credit, participant="members")


def _settle(batch: Batch, kind: type[A], refusal: Callable[[A], Refusal | None], *, participant: str) -> None:
    """Apply a participant's answers. ``refusal`` reads one: the reason if it is a no, ``None`` if it is a yes."""
    services.settle(
        ((received.data.order_id, refusal(received.data)) for received in batch if isinstance(received.data, kind)),
        orders=[answer.order_id for answer in batch.of(kind)],
        participant=participant,
    )


def _shortage(answer: InventoryAnswer) -> OutOfStock | AllotmentExhausted | None:
    if not isinstance(answer, InventoryLockFailed):
        return None
    short, exhausted = _short_lines(answer.short), _short_lines(answer.exhausted)
    beyond = AllotmentExhausted(sku=exhausted[0].sku, lines=exhausted) if exhausted else None
    if not short and beyond is not None:
        return beyond
    return OutOfStock(lines=short, also=() if beyond is None else (msgspec.to_builtins(beyond),))


def _short_lines(lines: Iterable[Shortage]) -> tuple[Short, ...]:
    return tuple(Short(sku=line.sku, requested=line.requested, available=line.available) for line in lines)


def _missing_credit(answer: CreditMovement) -> CreditTooLow | None:
    return CreditTooLow(missing=answer.missing) if isinstance(answer, CreditRefused) else None


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


@consumes("inventory", StockDepleted, StockReplenished, name="availability")
def follow_stock(batch: Batch) -> None:
    """Note which products are sold out, so that an order for them is refused at once.

    A courtesy: a product that is unknown here is passed over, and an order that is taken in by mistake is decided by
    its reservation. Of each product the last event counts.
    """
    sold_out = {event.sku: isinstance(event, StockDepleted) for event in batch.of(Availability)}
    services.note_availability(sold_out)


@consumes("marketing", CampaignScheduled, CampaignChanged, CampaignSuspended, CampaignResumed, CampaignEnded)
def copy_campaigns(batch: Batch) -> None:
    """Copy campaigns, which price the orders that are placed while they run.

    What happens to a campaign that is unknown here, since an operator discarded the event that scheduled it, does
    nothing.
    """
    ids = {event.campaign_id for event in batch.of(CampaignEvent)}
    copies = CampaignCopy.objects.in_bulk(ids)
    for received in batch:
        match received.data:
            case CampaignDetails(campaign_id=campaign_id) as campaign:
                copies[campaign_id] = CampaignCopy(**msgspec.structs.asdict(campaign))
            case CampaignSuspended(campaign_id=campaign_id) if campaign_id in copies:
                copies[campaign_id].state = "suspended"
            case CampaignResumed(campaign_id=campaign_id) if campaign_id in copies:
                copies[campaign_id].state = "scheduled"
            case CampaignEnded(campaign_id=campaign_id) if campaign_id in copies:
                copies[campaign_id].state = "ended"
    fields = ["sku", "price", "starts_at", "ends_at", "limit_per_member", "allotment", "state"]
    _upsert(copies, "campaign_id", fields)


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
