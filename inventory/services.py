"""Commands on the stock."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from uuid import UUID

from django.db import connections, transaction

from inventory.campaigns import Allotments, Sold
from inventory.models import Claim, Reservation, StockItem
from inventory.policies import needs_of, shortages
from shop.errors import NotFound
from shop.logs import get_logger
from shop.messaging.aggregates import Aggregate, store

log = get_logger(__name__)

NO_CAMPAIGNS: Mapping[str, UUID] = MappingProxyType({})


class StockRoom:
    """The claims of some orders and the stock they touch, locked: claims first, then items by SKU, then
    allotments of campaigns.

    Whoever locks some of these does so in this order, so that no two deadlock.
    """

    def __init__(self, *, orders: Iterable[UUID], skus: Iterable[str], sold: Sequence[Sold] = ()) -> None:
        """Lock and load, in three queries for any number of orders, and two for campaigns; call it in a transaction.

        :param sold: lines of these orders that were sold in campaigns.
        """
        self.claims: dict[UUID, Claim] = {
            claim.pk: claim
            for claim in Claim.objects.filter(pk__any_of=list(orders)).order_by("pk").select_for_update()
        }
        self.reservations: dict[UUID, list[Reservation]] = {}
        if self.claims:
            for reservation in Reservation.objects.filter(claim__in=list(self.claims)):
                self.reservations.setdefault(reservation.claim_id, []).append(reservation)
        reserved = [reservation for rows in self.reservations.values() for reservation in rows]
        self.items = _locked_items({*skus, *(reservation.sku for reservation in reserved)})
        self.allotments = Allotments(sold, reserved)

    def reserve(
        self,
        *,
        order_id: UUID,
        lines: Iterable[tuple[str, int]],
        at: datetime,
        sold_in: Mapping[str, UUID] = NO_CAMPAIGNS,
    ) -> None:
        """Reserve all lines or nothing. An order that was answered before gets the same answer again.

        :param sold_in: the campaign of each line that was sold in one, by SKU.
        """
        if order_id in self.claims:
            self.claims[order_id].answer()
            return
        needs = needs_of(lines)
        short = shortages(needs, {sku: self.items[sku].available for sku in needs if sku in self.items})
        exhausted = self.allotments.exhausted(needs, sold_in)
        if short or exhausted:
            self.claims[order_id] = Claim.fail(order_id=order_id, short=short, exhausted=exhausted, at=at)
            return
        for sku, quantity in needs.items():
            self.items[sku].reserve(quantity, order_id=order_id, at=at)
        reservations = [
            Reservation(claim_id=order_id, sku=sku, quantity=quantity, campaign_id=sold_in.get(sku))
            for sku, quantity in needs.items()
        ]
        self.claims[order_id] = claim = Claim.lock(order_id=order_id, reservations=reservations, at=at)
        claim.attach(*self.allotments.take(reservations))
        self.reservations[order_id] = reservations

    def release(self, *, order_id: UUID, at: datetime) -> None:
        """Put what the order holds back on sale. An order that is not known yet will get nothing."""
        self.void(order_id=order_id, at=at)
        claim = self.claims[order_id]
        if claim.status == Claim.Status.SHIPPED:
            log.error("cancelled, though it was shipped", order=str(order_id))
        if claim.release():
            reservations = self.reservations.get(order_id, [])
            for reservation in reservations:
                self.items[reservation.sku].release(reservation.quantity, order_id=order_id, at=at)
            claim.attach(*self.allotments.give_back(reservations))

    def ship(self, *, order_id: UUID, at: datetime) -> None:
        """Let what the order holds leave, once. Where it holds nothing, that is logged and left for the audit."""
        claim = self.claims.get(order_id)
        if claim is not None and claim.ship():
            for reservation in self.reservations.get(order_id, ()):
                self.items[reservation.sku].ship(reservation.quantity, order_id=order_id, at=at)
        elif claim is None or claim.status != Claim.Status.SHIPPED:
            log.error("shipped, though nothing is reserved", order=str(order_id), claim=claim and claim.status)

    def take_back(self, *, order_id: UUID, totals: Mapping[str, int], at: datetime) -> None:
        """Put on sale what came back of a shipped order. What does not fit is logged and left for the audit.

        :param totals: by SKU, of all returns of the order so far: a repeated or older return changes nothing.
        """
        claim = self.claims.get(order_id)
        if claim is None or claim.status != Claim.Status.SHIPPED:
            log.error("returned, though nothing was shipped", order=str(order_id), claim=claim and claim.status)
            return
        reservations = {reservation.sku: reservation for reservation in self.reservations.get(order_id, ())}
        if strangers := totals.keys() - reservations.keys():
            log.error("returned, though it was not reserved", order=str(order_id), skus=sorted(strangers))
        for sku in sorted(reservations.keys() & totals.keys()):
            more = claim.take_back(reservations[sku], total=totals[sku])
            if more:
                self.items[sku].take_back(more, order_id=order_id, at=at)

    def void(self, *, order_id: UUID, at: datetime) -> None:
        """Give an order nothing, now or later, unless it is known already."""
        if order_id not in self.claims:
            self.claims[order_id] = Claim.void(order_id=order_id, at=at)

    def changed(self) -> list[Aggregate]:
        """Return the aggregates to store."""
        return [*self.claims.values(), *(item for item in self.items.values() if item.recorded)]


def receive_stock(*, sku: str, quantity: int, note: str = "", at: datetime) -> StockItem:
    """Receive goods. The SKU may be new: goods may arrive before the catalogue announces the product."""
    with transaction.atomic(using="inventory"):
        item = items_for([sku])[sku]
        item.receive(quantity, note=note, at=at)
        store(item)
    return item


def adjust_stock(*, sku: str, quantity: int, note: str, at: datetime) -> StockItem:
    """Correct the stock by what a count found. :raises NotFound: :raises UnableToTake:"""
    with transaction.atomic(using="inventory"):
        item: StockItem | None = StockItem.objects.select_for_update().filter(sku=sku).first()
        if item is None:
            raise NotFound(f"There is no stock item {sku!r}: receive some first.", sku=sku)
        item.adjust(quantity, note=note, at=at)
        store(item)
    return item


def items_for(skus: Iterable[str]) -> dict[str, StockItem]:
    """Lock the items of these SKUs; where there is none, make one, which the caller stores."""
    needed = set(skus)
    if StockItem.objects.filter(pk__any_of=needed).count() < len(needed):
        # One at a time, and before any item is locked: it may have to wait for another that makes some of these.
        with connections["inventory"].cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(hashtext('new stock items'))")
    items = _locked_items(needed)
    return items | {sku: StockItem.open(sku=sku) for sku in sorted(needed - items.keys())}


def _locked_items(skus: Iterable[str]) -> dict[str, StockItem]:
    items = StockItem.objects.filter(pk__any_of=list(skus)).order_by("sku").select_for_update()
    return {item.sku: item for item in items}
