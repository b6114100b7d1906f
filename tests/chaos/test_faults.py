"""Whatever dies, meanwhile: no order is lost, none takes effect twice, and all are decided in the end."""

import signal
import threading
from collections.abc import Iterator
from uuid import uuid4

import psutil
import pytest
from django.conf import settings
from django.db import connections, transaction
from django.utils import timezone
from rest_framework.authtoken.models import Token

from inventory.models import StockItem, StockMovement
from inventory.services import receive_stock
from orders.models import Order, ProductCopy, Status
from readmodel.models import OrderView
from shop.catalogue.services import add_product
from shop.local.chaos.faults import wipe_broker
from shop.local.servers import lifecycle
from shop.members.services import join
from tests.chaos.conftest import Stack, eventually

embedded_broker = pytest.mark.skipif(
    "valkey" not in lifecycle.needed_by(settings.DATABASES.values(), settings.BROKER_URL, settings.INSTANCE),
    reason="the broker is not ours to stop",
)


@pytest.fixture
def token(stack: Stack) -> str:
    """A new member's token."""
    stack.client.await_web()
    member = join(username=f"buyer-{uuid4().hex}", name="Buyer")
    return str(Token.objects.get(user_id=member.pk).key)


@pytest.fixture
def sku(stack: Stack) -> Iterator[str]:
    """A product of the test's own, that orders know of; in the end its books must balance."""
    sku = f"sku-{uuid4().hex[:12]}"
    add_product(sku=sku, name="Lamp", category="things", price=500)
    eventually(lambda: ProductCopy.objects.filter(sku=sku).exists(), what="the product is known to orders")
    yield sku
    item = StockItem.objects.get(pk=sku)
    movements = StockMovement.objects.filter(sku=sku)
    sums = {kind: sum(m.quantity for m in movements if m.kind == kind) for kind in StockMovement.Kind.values}
    assert item.available == sums["received"] - sums["reserved"] + sums["released"]
    assert item.reserved == sums["reserved"] - sums["released"]
    confirmed = Order.objects.filter(lines__sku=sku, status=Status.CONFIRMED).count()
    assert item.reserved == confirmed, "one unit is held for each confirmed order, and no other"


def stock(sku: str, quantity: int) -> None:
    receive_stock(sku=sku, quantity=quantity, at=timezone.now())


def decided(ids: list[str], *, within: float = 60) -> dict[str, int]:
    """Wait until each order is decided, and shown so by the read model; how many of each status."""

    def count(status: str) -> int:
        return Order.objects.filter(pk__in=ids, status=status).count()

    eventually(lambda: not count(Status.OPEN), within=within, what="every order is decided")
    statuses = {status: count(status) for status in (Status.CONFIRMED, Status.CANCELLED)}
    for status, number in statuses.items():
        eventually(
            lambda status=status, number=number: OrderView.objects.filter(pk__in=ids, status=status).count() == number,
            what=f"{number} orders are shown as {status}",
        )
    return {str(status): number for status, number in statuses.items()}


def test_beat_carries_an_order_to_its_end_on_this_broker(stack: Stack, token: str, sku: str) -> None:
    stock(sku, 1)
    order_id = stack.client.place(token, (sku, 1))
    assert decided([order_id]) == {"confirmed": 1, "cancelled": 0}
    assert [entry["status"] for entry in stack.client.order(token, order_id)["history"]] == ["open", "confirmed"]


def test_a_worker_killed_in_the_middle_of_a_batch_leaves_nothing_half_done(stack: Stack, token: str, sku: str) -> None:
    stock(sku, 5)
    with transaction.atomic(using="inventory"):
        StockItem.objects.select_for_update().get(pk=sku)  # the batch will wait for this row, its transaction open
        ids = [stack.client.place(token, (sku, 1)) for _ in range(8)]
        eventually(lambda: _waiting_for_a_row("inventory"), what="a batch is in the middle of its transaction")
        stack.kill_worker("inventory")
    assert decided(ids) == {"confirmed": 5, "cancelled": 3}


def test_a_killed_pool_process_is_replaced_and_its_batch_handed_out_again(stack: Stack, token: str, sku: str) -> None:
    stock(sku, 5)
    with transaction.atomic(using="inventory"):
        StockItem.objects.select_for_update().get(pk=sku)
        ids = [stack.client.place(token, (sku, 1)) for _ in range(3)]
        eventually(lambda: _waiting_for_a_row("inventory"), what="a batch is in the middle of its transaction")
        eventually(lambda: stack.supervisor.watch(0) or "worker-inventory" in stack.supervisor.pids)
        for process in stack.pool_of("inventory"):
            process.send_signal(signal.SIGKILL)
    assert decided(ids) == {"confirmed": 3, "cancelled": 0}


def test_orders_are_decided_though_the_broker_is_wiped_again_and_again(stack: Stack, token: str, sku: str) -> None:
    stock(sku, 20)
    ids = []
    for _ in range(30):
        ids.append(stack.client.place(token, (sku, 1)))
        wipe_broker()
    assert decided(ids) == {"confirmed": 20, "cancelled": 10}


@embedded_broker
def test_orders_are_accepted_while_the_broker_is_down_and_decided_when_it_is_back(
    stack: Stack, token: str, sku: str
) -> None:
    stock(sku, 2)
    lifecycle.stop(settings.INSTANCE, ["valkey"])
    try:
        ids = [stack.client.place(token, (sku, 1)) for _ in range(3)]
        assert all(stack.client.order(token, order_id)["status"] == "open" for order_id in ids)
    finally:
        lifecycle.ensure_running(settings.INSTANCE, ["valkey"])
    assert decided(ids, within=90) == {"confirmed": 2, "cancelled": 1}


@pytest.mark.parametrize("alias", ["inventory", "catalogue", "readmodel"])
def test_orders_are_accepted_and_priced_while_another_context_is_down_and_decided_when_it_is_back(
    stack: Stack, token: str, sku: str, alias: str
) -> None:
    stock(sku, 2)
    with stack.database_down(alias):
        ids = [stack.client.place(token, (sku, 1)) for _ in range(3)]
        answers = [stack.client.order(token, order_id) for order_id in ids]
        assert [answer["total"] for answer in answers] == [500, 500, 500]
        if alias == "inventory":
            assert [answer["status"] for answer in answers] == ["open", "open", "open"]
    assert decided(ids) == {"confirmed": 2, "cancelled": 1}


def test_every_process_killed_in_turn_during_a_sale_oversells_nothing(stack: Stack, token: str, sku: str) -> None:
    stock(sku, 40)
    ids: list[str] = []

    def buy() -> None:
        for _ in range(20):
            ids.append(stack.client.place(token, (sku, 1)))
        connections.close_all()

    buyers = [threading.Thread(target=buy) for _ in range(3)]
    for buyer in buyers:
        buyer.start()
    for name in ("worker-orders", "worker-inventory", "worker-readmodel", "beat", "worker-orders"):
        eventually(lambda name=name: stack.supervisor.watch(0) or name in stack.supervisor.pids, what=f"{name} is back")
        psutil.Process(stack.supervisor.pids[name]).kill()
        eventually(lambda: stack.supervisor.watch(0.1), what=f"the death of {name} is noticed")
    for buyer in buyers:
        buyer.join()
    assert decided(ids) == {"confirmed": 40, "cancelled": 20}


def _waiting_for_a_row(alias: str) -> bool:
    """Whether a session of that database waits for a row that another transaction holds."""
    name = connections[alias].settings_dict["NAME"]
    with connections["orders"].cursor() as cursor:
        cursor.execute(
            "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = %s AND wait_event_type = 'Lock')", [name]
        )
        return bool(cursor.fetchone()[0])
