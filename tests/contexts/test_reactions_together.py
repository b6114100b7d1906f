"""All reactions of a context at once, on rows that overlap: they wait for each other, and never deadlock.

Two batches of one source are of two lanes, so they share no key; whatever else they touch, they share.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from itertools import combinations_with_replacement
from random import Random
from threading import Barrier
from typing import Any
from uuid import UUID

import msgspec
import pytest
from django.db import connections, transaction
from django.utils import timezone

from inventory.events import (
    Availability,
    InventoryAnswer,
    InventoryLocked,
    InventoryLockFailed,
    StockDepleted,
    StockReplenished,
)
from inventory.models import StockItem
from orders.events import (
    Line,
    OrderCancelled,
    OrderConfirmed,
    OrderCreated,
    OrderEvent,
    OrderReturned,
    OrderShipped,
    Returned,
)
from orders.models import Order, ProductCopy
from shop.catalogue.events import ProductAdded, ProductChanged, ProductDelisted, ProductEvent, ProductListed
from shop.marketing.events import CampaignChanged, CampaignEvent, CampaignResumed, CampaignScheduled
from shop.members.events import CreditEvent, CreditRefused, CreditReserved, MemberChanged, MemberEvent, MemberJoined
from shop.messaging import consumers
from shop.messaging.aggregates import store
from shop.messaging.batches import Batch, cloud_event
from shop.messaging.consumers import Consumer
from shop.messaging.contexts import context
from shop.messaging.events import Event
from tests.harness import Shop

ROUNDS = 40
EVENTS = 60  # in a batch
WIDTH = 80  # keys that the batches of a round choose from
STEP = 20  # of them are new in each round

PAIRS = [
    pytest.param(one, other, id=f"{one.task} and {other.task}")
    for one, other in combinations_with_replacement(
        sorted(consumers._consumers.values(), key=lambda consumer: consumer.task), 2
    )
    if one.context == other.context != "sample"
]


@pytest.mark.parametrize(("one", "other"), PAIRS)
def test_two_reactions_of_a_context_never_deadlock(shop: Shop, one: Consumer, other: Consumer) -> None:
    place_open_orders()
    together = Barrier(2)
    with ThreadPoolExecutor(2) as workers:
        try:
            for number in range(ROUNDS):
                batches = [
                    batch_of(consumer, Random(f"{number} {side}"), number, side if one is other else None)
                    for side, consumer in enumerate((one, other))
                ]
                for outcome in [
                    workers.submit(apply, consumer, batch, together)
                    for consumer, batch in zip((one, other), batches, strict=True)
                ]:
                    outcome.result()
        finally:
            for done in [workers.submit(leave, together) for _ in range(2)]:
                done.result()


def apply(consumer: Consumer, batch: Batch, together: Barrier) -> None:
    """Do as a worker does once the cursor lets it."""
    together.wait(timeout=30)
    with transaction.atomic(using=context(consumer.context).database):
        consumer.react(batch)


def leave(together: Barrier) -> None:
    together.wait(timeout=30)
    connections.close_all()


def place_open_orders() -> None:
    """Have the orders that the inventory answers, stock for some, and copies of the products."""
    now = timezone.now()
    keys = range(ROUNDS * STEP + WIDTH)
    placed = [Order(id=UUID(int=key), member_id=1, total=1, currency="CNY", placed_at=now) for key in keys]
    with transaction.atomic(using="orders"):
        store(*placed)
    items = [StockItem.open(sku=f"sku-{key}") for key in keys]
    for item in items:
        item.receive(3, note="", at=now)
    with transaction.atomic(using="inventory"):
        store(*items)
    ProductCopy.objects.bulk_create(
        ProductCopy(sku=item.sku, name="x", category="", price=1, listed=True) for item in items
    )


# --- What is said ---------------------------------------------------------------------------------


def batch_of(consumer: Consumer, random: Random, number: int, side: int | None) -> Batch:
    """Events that the consumer wants, about keys of this round; only every other key where a side is given."""
    keys = range(number * STEP, number * STEP + WIDTH)
    if side is not None:
        keys = keys[side::2]
    chosen = [SPOKEN[consumer.source](random, key, number) for key in random.choices(keys, k=EVENTS)]
    wanted = [event for event in chosen if event.wire_name in consumer.types]
    return Batch([travelled(consumer.source, position, event) for position, event in enumerate(wanted, 1)])


def travelled(source: str, position: int, event: Event) -> Any:
    match event:
        case OrderEvent(order_id=key) | InventoryAnswer(order_id=key) | MemberEvent(member_id=key):
            pass
        case (
            ProductEvent(sku=key) | Availability(sku=key) | CampaignEvent(campaign_id=key) | CreditEvent(member_id=key)
        ):
            pass
    time = timezone.now().isoformat()
    return cloud_event(
        source=source,
        position=position,
        type=event.wire_name,
        key=str(key),
        data=msgspec.to_builtins(event),
        headers={},
        time=time,
    )


def of_orders(random: Random, key: int, number: int) -> Event:
    order_id, now = UUID(int=key), timezone.now()
    lines = tuple(
        Line(sku=f"sku-{sku}", name="x", category="", price=1, quantity=1)
        for sku in random.sample(range(number * STEP, number * STEP + WIDTH), k=2)
    )
    member_id = random.randrange(number * STEP, number * STEP + WIDTH)
    created = OrderCreated(order_id=order_id, member_id=member_id, lines=lines, total=2, currency="CNY", placed_at=now)
    confirmed = OrderConfirmed(order_id=order_id, at=now)
    cancelled = OrderCancelled(order_id=order_id, reason={}, at=now)
    back = tuple(Returned(sku=line.sku, quantity=1) for line in lines)
    returned = OrderReturned(order_id=order_id, lines=back, refunded=1, at=now)
    shipped = OrderShipped(order_id=order_id, at=now)
    return random.choice([created, created, confirmed, cancelled, shipped, returned])


def of_inventory(random: Random, key: int, number: int) -> Event:
    order_id, sku = UUID(int=key), f"sku-{key}"
    answers = [InventoryLocked(order_id=order_id), InventoryLockFailed(order_id=order_id, short=())]
    return random.choice([*answers, StockDepleted(sku=sku), StockReplenished(sku=sku)])


def of_catalogue(random: Random, key: int, number: int) -> Event:
    sku = f"sku-{key}"
    details = {"sku": sku, "name": random.choice("xyz"), "category": "", "price": 1, "listed": True}
    return random.choice(
        [ProductAdded(**details), ProductChanged(**details), ProductListed(sku=sku), ProductDelisted(sku=sku)]
    )


def of_members(random: Random, key: int, number: int) -> Event:
    kind = random.choice([MemberJoined, MemberChanged])
    movement = {"member_id": key, "version": 1, "order_id": UUID(int=key), "amount": 2}
    return random.choice(
        [
            kind(member_id=key, name=random.choice("xyz"), active=random.random() < 0.5),
            CreditReserved(**movement),
            CreditRefused(**movement, missing=1),
        ]
    )


def of_marketing(random: Random, key: int, number: int) -> Event:
    now = timezone.now()
    bounds = {"starts_at": now, "ends_at": now + timedelta(hours=1), "limit_per_member": 1, "allotment": 5}
    details = {"campaign_id": UUID(int=key), "sku": f"sku-{key}", "price": random.randint(1, 5), **bounds}
    return random.choice(
        [
            CampaignScheduled(**details, state="scheduled"),
            CampaignChanged(**details, state="suspended"),
            CampaignResumed(campaign_id=UUID(int=key)),
        ]
    )


SPOKEN: dict[str, Callable[[Random, int, int], Event]] = {
    "orders": of_orders,
    "inventory": of_inventory,
    "catalogue": of_catalogue,
    "members": of_members,
    "marketing": of_marketing,
}
