"""What can be done to the stock."""

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from django.db import connections, transaction

from inventory.models import Claim, Reservation, StockItem
from inventory.policies import needs_of, shortages
from shop.errors import NotFound
from shop.messaging.aggregates import Aggregate, store


class StockRoom:
    """The claims of some orders and the stock they touch, locked: claims first, then items by SKU.

    Everybody who locks both does so in this order, so that no two deadlock.
    """

    def __init__(self, *, orders: Iterable[UUID], skus: Iterable[str]) -> None:
        """Lock and load, in three queries for any number of orders; to be used in a transaction."""
        self.claims: dict[UUID, Claim] = {
            claim.pk: claim
            for claim in Claim.objects.filter(pk__any_of=list(orders)).order_by("pk").select_for_update()
        }
        self.reservations: dict[UUID, list[Reservation]] = {}
        if self.claims:
            for held in Reservation.objects.filter(claim__in=list(self.claims)):
                self.reservations.setdefault(held.claim_id, []).append(held)
        wanted = {*skus, *(held.sku for rows in self.reservations.values() for held in rows)}
        self.items = _locked_items(wanted)

    def reserve(self, *, order_id: UUID, lines: Iterable[tuple[str, int]], at: datetime) -> None:
        """All lines or nothing. An order that was answered before gets the same answer again."""
        if order_id in self.claims:
            self.claims[order_id].answer()
            return
        needs = needs_of(lines)
        short = shortages(needs, {sku: self.items[sku].available for sku in needs if sku in self.items})
        if short:
            self.claims[order_id] = Claim.fail(order_id=order_id, short=short, at=at)
            return
        for sku, quantity in needs.items():
            self.items[sku].reserve(quantity, order_id=order_id, at=at)
        held = [Reservation(claim_id=order_id, sku=sku, quantity=quantity) for sku, quantity in needs.items()]
        self.claims[order_id] = Claim.lock(order_id=order_id, reservations=held, at=at)
        self.reservations[order_id] = held

    def release(self, *, order_id: UUID, at: datetime) -> None:
        """What the order holds is for sale again. One that was never heard of will get nothing."""
        claim = self.claims.get(order_id)
        if claim is None:
            self.claims[order_id] = Claim.void(order_id=order_id, at=at)
        elif claim.release():
            for held in self.reservations.get(order_id, ()):
                self.items[held.sku].release(held.quantity, order_id=order_id, at=at)

    def changed(self) -> list[Aggregate]:
        """What is to be stored."""
        return [*self.claims.values(), *(item for item in self.items.values() if item.recorded)]


def receive_stock(*, sku: str, quantity: int, note: str = "", at: datetime) -> StockItem:
    """Goods came in; their SKU may be new here, since they may arrive before the catalogue's news of them."""
    with transaction.atomic(using="inventory"):
        item = items_for([sku])[sku]
        item.receive(quantity, note=note, at=at)
        store(item)
    return item


def adjust_stock(*, sku: str, quantity: int, note: str, at: datetime) -> StockItem:
    """A count found more, or (negative) less. :raises NotFound: :raises UnableToTake:"""
    with transaction.atomic(using="inventory"):
        item: StockItem | None = StockItem.objects.select_for_update().filter(sku=sku).first()
        if item is None:
            raise NotFound(f"There is no stock item {sku!r}: receive some first.", sku=sku)
        item.adjust(quantity, note=note, at=at)
        store(item)
    return item


def items_for(skus: Iterable[str]) -> dict[str, StockItem]:
    """The items of these SKUs, locked; new ones, not yet stored, where there are none."""
    wanted = set(skus)
    if StockItem.objects.filter(pk__any_of=wanted).count() < len(wanted):
        # One maker at a time, and before any item is locked: it may have to wait for another that made some of these.
        with connections["inventory"].cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(hashtext('new stock items'))")
    items = _locked_items(wanted)
    return items | {sku: StockItem.open(sku=sku) for sku in sorted(wanted - items.keys())}


def _locked_items(skus: Iterable[str]) -> dict[str, StockItem]:
    found = StockItem.objects.filter(pk__any_of=list(skus)).order_by("sku").select_for_update()
    return {item.sku: item for item in found}
