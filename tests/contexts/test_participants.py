"""A third participant is a few lines: its own reaction to orders, and one of the orders to its answers."""

from collections.abc import Iterator
from itertools import permutations
from typing import Any
from uuid import UUID

import pytest
from django.db import connections

from orders import services
from orders.events import OrderCreated, Refusal
from orders.models import Order
from shop.console.audit import audit
from shop.messaging import consumers
from shop.messaging.aggregates import store
from shop.messaging.batches import Batch
from shop.messaging.reactions import consumes
from tests.contexts.sample.events import Greeted, TurnedAway
from tests.contexts.sample.models import Greeting
from tests.harness import Shop


class NotGreeted(Refusal, frozen=True, kw_only=True, tag="not_greeted"):
    """The sample turned the order away."""

    detail = "The sample turned the order away."


def greet_orders(batch: Batch) -> None:
    """The participant: it greets every order but those of three."""
    asked = [order for order in batch.of(OrderCreated) if "sample" in order.participants]
    store(
        *(
            Greeting.refused_to(str(order.order_id))
            if order.lines[0].quantity == 3
            else Greeting.of(str(order.order_id))
            for order in asked
        )
    )


def settle_greetings(batch: Batch) -> None:
    """The orders' reaction to it."""
    answers = batch.of(Greeted, TurnedAway)
    services.settle(
        (
            (UUID(received.data.name), NotGreeted() if isinstance(received.data, TurnedAway) else None)
            for received in batch
            if isinstance(received.data, Greeted | TurnedAway)
        ),
        orders=[UUID(answer.name) for answer in answers],
        participant="sample",
    )


greet_orders.__module__, settle_greetings.__module__ = "tests.contexts.sample.tasks", "orders.tasks"


@pytest.fixture(scope="module")
def third_participant() -> Iterator[None]:
    before = dict(consumers._consumers)
    consumes("orders", OrderCreated)(greet_orders)
    consumes("sample", Greeted, TurnedAway, name="greetings")(settle_greetings)
    yield
    consumers._consumers.clear()
    consumers._consumers.update(before)


@pytest.fixture
def ready(third_participant: None, shop: Shop, settings: Any) -> Shop:
    settings.ORDER_PARTICIPANTS = ["inventory", "sample"]
    shop.sell("phone", stock=3)
    shop.drain()
    return shop


def test_all_three_agree_and_the_order_is_confirmed(ready: Shop) -> None:
    order = ready.place(("phone", 2))
    ready.drain()
    assert sorted(ready.order(order).granted) == ["inventory", "sample"]
    assert ready.order(order).status == "confirmed"


@pytest.mark.parametrize("queues", list(permutations(["inventory", "sample"])))
def test_its_refusal_releases_what_the_others_took_whoever_is_first(ready: Shop, queues: tuple[str, ...]) -> None:
    order = ready.place(("phone", 3))
    ready.scan()
    for queue in (queues[0], "orders", queues[1], "orders"):
        for delivery in ready.deliveries.take(queue):
            delivery.deliver()
    ready.drain()
    cancelled = ready.order(order)
    assert cancelled.status == "cancelled"
    assert cancelled.reason_data == {"code": "not_greeted"}
    assert ready.stock("phone") == (3, 0)
    assert audit().broken == []


def test_an_order_that_does_not_name_it_does_not_wait_for_it(ready: Shop, settings: Any) -> None:
    settings.ORDER_PARTICIPANTS = ["inventory"]
    order = ready.place(("phone", 3))
    ready.drain()
    assert ready.order(order).status == "confirmed"
    assert not Greeting.objects.exists()


def test_an_order_of_the_release_before_is_decided_by_the_inventory_alone(ready: Shop) -> None:
    order = ready.place(("phone", 1))
    as_the_release_before_placed(order)
    ready.drain()
    assert ready.order(order).status == "confirmed"


def as_the_release_before_placed(order: Order) -> None:
    """Have the row and the event name nobody."""
    with connections["orders"].cursor() as cursor:
        cursor.execute("UPDATE orders_order SET participants = DEFAULT WHERE id = %s", [order.pk])
        cursor.execute("UPDATE orders_outboxevent SET data = data - 'participants' WHERE key = %s", [str(order.pk)])
