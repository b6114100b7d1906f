"""Commands on orders: one business act and one transaction each."""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from django.conf import settings
from django.db import IntegrityError, transaction
from uuid_utils.compat import uuid7

from orders import campaigns, queries
from orders.events import KnownReason, Refusal
from orders.models import IdempotencyKey, Order, ProductCopy, Status
from orders.policies import Wanted, faults, merge, price
from shop.databases import database_time
from shop.errors import DomainError, Invalid, NotFound
from shop.idempotency import KeyReused
from shop.logs import get_logger
from shop.messaging.aggregates import store
from shop.messaging.producer.locks import LaneHeld
from shop.messaging.producer.outbox import id_in_free_lane
from shop.messaging.producer.partitions import PartitionMissing

log = get_logger(__name__)

SWEEP = 1000  # orders that one transaction cancels, at most


class OrderRefused(Invalid):
    """The order cannot be placed as it stands; every faulty line is named in ``lines``."""

    code = "order_refused"


class MemberInactive(DomainError):
    """Inactive members cannot place orders."""

    code = "member_inactive"
    status = 403


class PriceChanged(DomainError):
    """The order costs something else than the buyer expects; ``lines`` and ``total`` are as they are now."""

    code = "price_changed"


def place_order(
    *,
    member_id: int,
    lines: Sequence[Wanted],
    key: str | None,
    at: datetime | None = None,
    expected_total: int | None = None,
) -> tuple[Order, bool]:
    """Place an order, or return the one that the same key placed before; and whether it is new.

    It needs the orders database alone. The order, its lines, its event and the key are one transaction;
    of two requests with one key at once, the second waits for the first to commit and gets its order.

    :param at: when it is placed; the database's time, unless given. Campaigns run or not at that time.
    :param expected_total: minor units; another total is refused.
    :raises OrderRefused: :raises PriceChanged: :raises MemberInactive: :raises KeyReused:
    """
    request = _Request(member_id, merge(lines), key, at, expected_total)
    earlier = _placed_before(request)
    if earlier is not None:
        return earlier, False
    try:
        return _place_in_a_free_lane(request), True
    except IntegrityError:
        earlier = _placed_before(request)
        if earlier is None:
            raise
        return earlier, False


class _Request(NamedTuple):
    member_id: int
    lines: list[Wanted]
    key: str | None
    at: datetime | None
    expected_total: int | None

    @property
    def fingerprint(self) -> str:
        """The SHA-256 of what is asked: without an expected total, as releases wrote it that knew none."""
        asked = self.lines if self.expected_total is None else [self.lines, self.expected_total]
        return hashlib.sha256(json.dumps(asked).encode()).hexdigest()


def _place_in_a_free_lane(request: _Request) -> Order:
    """Place the order, and once more, in a new transaction, if its lane is held or a partition had to be made."""
    try:
        return _place(request, patient=False)
    except LaneHeld:
        return _place(request, id=id_in_free_lane("orders", uuid7))
    except PartitionMissing:
        return _place(request)


def _place(request: _Request, *, id: UUID | None = None, patient: bool = True) -> Order:
    skus = [line.sku for line in request.lines]
    with transaction.atomic(using="orders"):
        admission = queries.admission(request.member_id, skus, at=request.at)
        if admission.inactive:
            raise MemberInactive("This member is deactivated and cannot place orders. Ask the shop.")
        offers = ProductCopy.objects.in_bulk(skus)
        refused = faults(request.lines, offers)
        at_fault = {fault["sku"] for fault in refused}
        priced = price([line for line in request.lines if line.sku not in at_fault], offers, admission.sales)
        refused += campaigns.take(member_id=request.member_id, lines=priced, sales=admission.sales)
        if refused:
            raise OrderRefused(f"{len(refused)} of {len(request.lines)} lines cannot be ordered.", lines=refused)
        order = Order.place(
            id=id,
            member_id=request.member_id,
            lines=priced,
            currency=settings.CURRENCY,
            at=admission.now,
            participants=settings.ORDER_PARTICIPANTS,
        )
        if request.expected_total not in (None, order.total):
            raise _price_changed(order, expected=request.expected_total)
        if request.key is not None:
            order.attach(
                IdempotencyKey(
                    user_id=request.member_id,
                    key=request.key,
                    fingerprint=request.fingerprint,
                    order_id=order.pk,
                    created_at=order.placed_at,
                )
            )
        store(order, patient=patient)
    return order


def _price_changed(order: Order, *, expected: int | None) -> PriceChanged:
    return PriceChanged(
        f"The order costs {order.total} now, not {expected}: ask the buyer, and send the new total as expected_total.",
        lines=[
            {"sku": line.sku, "name": line.name, "quantity": line.quantity, "price": line.price}
            for line in order.snapshot
        ],
        total=order.total,
        currency=order.currency,
    )


def _placed_before(request: _Request) -> Order | None:
    """Return the order that the key placed, if any. :raises KeyReused: if the key stands for another request."""
    if request.key is None:
        return None
    bound = IdempotencyKey.objects.filter(user_id=request.member_id, key=request.key).first()
    if bound is None:
        return None
    if bound.order_id is None or bound.fingerprint != request.fingerprint:
        raise KeyReused(request.key)
    order: Order = Order.objects.get(pk=bound.order_id)
    return order


def settle(answers: Iterable[tuple[UUID, Refusal | None]], orders: Iterable[UUID], *, participant: str) -> None:
    """Apply a participant's answers, in order: ``None`` where it agrees. An order that all agree to is confirmed.

    An answer that comes too late changes nothing, and is logged. One for an order that this database does not have,
    since it was restored, is left for the audit to report. Call it in a transaction.

    :param orders: every order that is answered, to be locked and loaded at once.
    """
    rows = Order.objects.filter(pk__any_of=list(orders)).order_by("pk").select_for_update()
    locked: dict[UUID, Order] = {order.pk: order for order in rows}
    changed: dict[UUID, Order] = {}
    late: list[tuple[UUID, str]] = []
    now = database_time("orders")
    for order_id, refusal in answers:
        order = locked.get(order_id)
        if order is None:
            late.append((order_id, "unknown"))
        elif order.agree(participant, at=now) if refusal is None else order.refuse(refusal, at=now):
            changed[order_id] = order
        elif refusal is not None and order.status == Status.SHIPPED:
            log.error("refused after it was shipped", participant=participant, order=str(order_id))
        elif order.status == Status.CANCELLED:
            late.append((order_id, order.status))
    if late:
        order_id, status = late[0]
        log.info("late answers", participant=participant, orders=len(late), first=str(order_id), status=status)
    campaigns.give_back(changed.values())
    store(*changed.values())


def note_availability(sold_out: Mapping[str, bool]) -> None:
    """Note of products whether they are sold out, by SKU; unknown ones are passed over. Call it in a transaction."""
    copies = ProductCopy.objects.filter(pk__any_of=list(sold_out)).order_by("sku").select_for_update()
    differing = [copy.sku for copy in copies if copy.sold_out != sold_out[copy.sku]]
    for value in (True, False):
        changed = [sku for sku in differing if sold_out[sku] is value]
        if changed:
            ProductCopy.objects.filter(pk__any_of=changed).update(sold_out=value)


def cancel_order(*, order_id: UUID, reason: KnownReason, at: datetime) -> Order:
    """Cancel an order that has not shipped; events then release what is reserved for it.

    :raises NotFound: :raises UnableToCancel:
    """
    return _change(order_id, lambda order: order.cancel(reason=reason, at=at))


def ship_order(*, order_id: UUID, at: datetime) -> Order:
    """Ship a confirmed order; events then use up what is reserved for it. :raises NotFound: :raises UnableToShip:"""
    return _change(order_id, lambda order: order.ship(at=at))


def return_goods(*, order_id: UUID, lines: Sequence[Wanted], at: datetime) -> Order:
    """Take back goods of a shipped order; events then put them on sale again, and refund them.

    :raises NotFound: :raises UnableToReturn:
    """
    return _change(order_id, lambda order: order.take_back(merge(lines), at=at))


def _change(order_id: UUID, change: Callable[[Order], None]) -> Order:
    with transaction.atomic(using="orders"):
        order: Order | None = Order.objects.select_for_update().filter(pk=order_id).first()
        if order is None:
            raise NotFound(f"There is no order {order_id}.")
        change(order)
        campaigns.give_back([order])
        store(order)
    return order


def expire_open_orders(*, at: datetime, limit: timedelta) -> int:
    """Cancel orders still open ``limit`` after they were placed; return how many.

    Skips orders that another transaction is deciding.
    """
    total = 0
    while True:
        with transaction.atomic(using="orders"):
            late = Order.objects.filter(status=Status.OPEN, placed_at__lt=at - limit)
            orders = list(late.order_by("placed_at").select_for_update(skip_locked=True)[:SWEEP])
            for order in orders:
                order.expire(at=at)
            campaigns.give_back(orders)
            store(*orders)
        total += len(orders)
        if len(orders) < SWEEP:
            return total
