"""Commands on orders: one business act and one transaction each."""

import hashlib
import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.db import IntegrityError, transaction
from uuid_utils.compat import uuid7

from orders import queries
from orders.events import KnownReason, TimedOut
from orders.models import IdempotencyKey, Order, ProductCopy, Status
from orders.policies import Wanted, faults, merge, price
from shop.errors import DomainError, Invalid, NotFound
from shop.idempotency import KeyReused
from shop.messaging.aggregates import store
from shop.messaging.producer.locks import LaneHeld
from shop.messaging.producer.outbox import id_in_free_lane
from shop.messaging.producer.partitions import PartitionMissing

SWEEP = 1000  # orders that one transaction cancels, at most


class OrderRefused(Invalid):
    """The order cannot be placed as it stands; every faulty line is named in ``lines``."""

    code = "order_refused"


class MemberInactive(DomainError):
    """Inactive members cannot place orders."""

    code = "member_inactive"
    status = 403


def place_order(
    *, member_id: int, lines: Sequence[Wanted], key: str | None, at: datetime | None = None
) -> tuple[Order, bool]:
    """Place an order, or return the one that the same key placed before; and whether it is new.

    It needs the orders database alone. The order, its lines, its event and the key are one transaction;
    of two requests with one key at once, the second waits for the first to commit and gets its order.

    :param at: when it is placed; the database's time, unless given.
    :raises OrderRefused: :raises MemberInactive: :raises KeyReused:
    """
    lines = merge(lines)
    earlier = _placed_before(member_id, key, lines)
    if earlier is not None:
        return earlier, False
    try:
        return _place_in_a_free_lane(member_id, lines, key, at), True
    except IntegrityError:
        earlier = _placed_before(member_id, key, lines)
        if earlier is None:
            raise
        return earlier, False


def _place_in_a_free_lane(member_id: int, lines: Sequence[Wanted], key: str | None, at: datetime | None) -> Order:
    """Place the order, and once more, in a new transaction, if its lane is held or a partition had to be made."""
    try:
        return _place(member_id, lines, key, at, patient=False)
    except LaneHeld:
        return _place(member_id, lines, key, at, id=id_in_free_lane("orders", uuid7))
    except PartitionMissing:
        return _place(member_id, lines, key, at)


def _place(
    member_id: int,
    lines: Sequence[Wanted],
    key: str | None,
    at: datetime | None,
    *,
    id: UUID | None = None,
    patient: bool = True,
) -> Order:
    with transaction.atomic(using="orders"):
        now, inactive = queries.admission(member_id)
        if inactive:
            raise MemberInactive("This member is deactivated and cannot place orders. Ask the shop.")
        offers = ProductCopy.objects.in_bulk([line.sku for line in lines])
        if refused := faults(lines, offers):
            raise OrderRefused(f"{len(refused)} of {len(lines)} lines cannot be ordered.", lines=refused)
        priced = price(lines, offers)
        order = Order.place(id=id, member_id=member_id, lines=priced, currency=settings.CURRENCY, at=at or now)
        if key is not None:
            order.attach(
                IdempotencyKey(
                    user_id=member_id,
                    key=key,
                    fingerprint=_fingerprint(lines),
                    order_id=order.pk,
                    created_at=order.placed_at,
                )
            )
        store(order, patient=patient)
    return order


def _placed_before(member_id: int, key: str | None, lines: Sequence[Wanted]) -> Order | None:
    """Return the order that the key placed, if any. :raises KeyReused: if the key stands for another request."""
    if key is None:
        return None
    bound = IdempotencyKey.objects.filter(user_id=member_id, key=key).first()
    if bound is None:
        return None
    if bound.order_id is None or bound.fingerprint != _fingerprint(lines):
        raise KeyReused(key)
    order: Order = Order.objects.get(pk=bound.order_id)
    return order


def _fingerprint(lines: Sequence[Wanted]) -> str:
    return hashlib.sha256(json.dumps(lines).encode()).hexdigest()


def cancel_order(*, order_id: UUID, reason: KnownReason, at: datetime) -> Order:
    """Cancel an order that has not shipped; events then release what is reserved for it.

    :raises NotFound: :raises UnableToCancel:
    """
    with transaction.atomic(using="orders"):
        order: Order | None = Order.objects.select_for_update().filter(pk=order_id).first()
        if order is None:
            raise NotFound(f"There is no order {order_id}.")
        order.cancel(reason=reason, at=at)
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
                order.cancel(reason=TimedOut(), at=at)
            store(*orders)
        total += len(orders)
        if len(orders) < SWEEP:
            return total
