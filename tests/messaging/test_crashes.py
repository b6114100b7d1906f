"""A process may die at each step of the protocol, the first time or the second: in the end nothing shows of it."""

import contextlib
from collections import Counter
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from django.db import connections

from inventory.models import Claim
from orders.models import Order
from readmodel.models import OrderView
from shop.messaging import failpoints, models
from shop.messaging.contexts import context
from shop.messaging.failpoints import Failpoint
from tests.harness import Shop

BUSY = ("orders", "inventory")  # the others have nothing to say in this sale


class Died(BaseException):
    """The process is no more; nothing in it gets to handle that."""


class Life:
    """Dies when a step is reached for the n-th time, and counts all steps."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, step: Failpoint | None = None, occurrence: int = 1) -> None:
        self.step, self.occurrence = step, occurrence
        self.counts: Counter[Failpoint] = Counter()
        self.deaths = 0
        monkeypatch.setattr(failpoints, "at_each_failpoint", self.reach)

    def reach(self, step: Failpoint) -> None:
        self.counts[step] += 1
        if (step, self.counts[step]) == (self.step, self.occurrence):
            self.deaths += 1
            raise Died(step)

    def survive(self, work: Callable[[], Any]) -> Any:
        """Do it, and again if it was cut short: so does a buyer without an answer, or beat at its next time."""
        try:
            return work()
        except Died:
            return work()

    def drain(self, shop: Shop) -> None:
        """Relay and deliver until it is quiet. What a process had in its hands is lost with it."""
        while self.survive(lambda: shop.scan(*BUSY)) or shop.deliveries.waiting:
            while shop.deliveries.waiting:
                delivery = shop.deliveries.waiting.pop(0)
                with contextlib.suppress(Died):
                    delivery.deliver()


def small_sale(shop: Shop, life: Life) -> dict[str, Any]:
    """Three buyers want two phones, the first changes their mind, and one event is poisonous: what came of it."""
    orders = [life.survive(lambda key=f"buyer {n}": shop.place(("phone", 1), key=key)) for n in range(3)]
    life.drain(shop)
    shop.time_out(*BUSY)
    life.drain(shop)
    confirmed = next(order for order in orders if shop.order(order).status == "confirmed")
    life.survive(lambda: shop.cancel(confirmed))
    life.drain(shop)
    shop.time_out(*BUSY)
    life.drain(shop)
    return {
        "orders": Counter(Order.objects.values_list("status", flat=True)),
        "views": Counter(OrderView.objects.values_list("status", flat=True)),
        "claims": Counter(Claim.objects.values_list("status", flat=True)),
        "stock": shop.stock("phone"),
        "movements": Counter(shop.movements("phone")),
        "letters": sorted((letter.consumer, letter.key) for letter in shop.all_letters()),
        "stopped": [cursor for cursor in shop.cursors() if cursor.stopped or cursor.attempts],
        "in flight": [subscription for subscription in shop.subscriptions() if subscription.batch],
    }


UNDISTURBED = {
    "orders": {"confirmed": 1, "cancelled": 2},
    "views": {"confirmed": 1, "cancelled": 2},
    "claims": {"locked": 1, "failed": 1, "released": 1},
    "stock": (1, 1),
    "movements": {("received", 2): 1, ("reserved", 1): 2, ("released", 1): 1},
    "letters": [("inventory", "poison"), ("members", "poison"), ("readmodel", "poison")],
    "stopped": [],
    "in flight": [],
}


@pytest.fixture
def ready(running_shop: Shop) -> Shop:
    """A product of which there are two, and among the orders' events one that cannot be decoded."""
    running_shop.member()
    running_shop.sell("phone", stock=2)
    running_shop.drain()
    with connections["orders"].cursor() as cursor:
        cursor.execute(
            "INSERT INTO orders_outboxevent (lane, type, key, data, headers) "
            "VALUES (0, 'orders.order-created', 'poison', jsonb_build_object('order_id', %s), '{}')",
            [str(uuid4())],
        )
    return running_shop


def restore_elsewhere() -> None:
    """Let both databases find themselves on another server, so that they are fenced. Each fence makes partitions."""
    for label in BUSY:
        context(label).table(models.Outbox).objects.update(server="another")


def test_no_step_is_dead(ready: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    restore_elsewhere()
    life = Life(monkeypatch)
    assert small_sale(ready, life) == UNDISTURBED
    assert set(life.counts) == set(Failpoint)
    assert min(life.counts.values()) >= 2


@pytest.mark.parametrize("occurrence", [1, 2])
@pytest.mark.parametrize("step", Failpoint, ids=lambda step: step.name.lower().replace("_", "-"))
def test_a_crash_changes_nothing_in_the_end(
    ready: Shop, monkeypatch: pytest.MonkeyPatch, step: Failpoint, occurrence: int
) -> None:
    if step == Failpoint.FENCED:
        restore_elsewhere()
    life = Life(monkeypatch, step, occurrence)
    assert small_sale(ready, life) == UNDISTURBED
    assert life.deaths == 1
