"""What the log annuls already takes no stock from the living: no clock decides that, and no worker's delay."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import connections

from orders import services as orders
from orders.models import Order
from orders.tasks import expire_open_orders
from shop.console.audit import audit
from shop.databases import database_time
from shop.members.models import Member
from shop.messaging.producer import reading
from shop.messaging.producer.fence import fence
from tests.backups import Backup
from tests.harness import Shop


@pytest.fixture
def ready(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> Shop:
    """Ten phones, and every event is old enough to be looked at again."""
    monkeypatch.setattr(reading, "RECENT", 0)
    shop.member()
    shop.sell("phone", stock=10)
    shop.drain()
    return shop


def place(shop: Shop, count: int) -> list[Order]:
    return [shop.place(("phone", 1), member_id=_member()) for _ in range(count)]


def _member() -> int:
    return int(Member.objects.get().pk)


def statuses(shop: Shop, placed: list[Order]) -> list[str]:
    return [shop.order(order).status for order in placed]


def time_out(limit: timedelta = timedelta(0)) -> int:
    return orders.expire_open_orders(at=database_time("orders"), limit=limit)


def test_after_an_outage_beyond_the_time_limit_dead_orders_take_nothing_from_living_ones(ready: Shop) -> None:
    """The living were placed before the dead were given up, so in the log they stand between the two."""
    dead = place(ready, 50)
    with connections["orders"].cursor() as cursor:
        cursor.execute("UPDATE orders_order SET placed_at = placed_at - interval '1 hour'")
    living = place(ready, 10)
    assert time_out(timedelta(minutes=15)) == 50
    ready.drain()
    assert statuses(ready, living) == ["confirmed"] * 10
    assert statuses(ready, dead) == ["cancelled"] * 50
    assert ready.stock("phone") == (0, 10)
    assert {ready.claim(order).status for order in dead} == {"released"}
    assert audit().broken == []


def test_the_audit_holds_between_an_annulled_order_and_its_cancellation(ready: Shop, settings: Any) -> None:
    settings.RELAY_EVENTS = 1
    (order,) = place(ready, 1)
    ready.cancel(order)
    ready.scan("orders")
    for delivery in ready.deliveries.take("inventory"):
        delivery.deliver()
    assert ready.claim(order).status == "released"
    assert audit().broken == []
    ready.drain()
    assert audit().broken == []
    assert ready.movements("phone") == [("received", 10)]


def test_an_order_that_was_cancelled_at_once_is_reserved_and_released_as_ever(
    ready: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its event is too young to be looked up: a page of fresh events costs no query more."""
    monkeypatch.setattr(reading, "RECENT", 5)
    (order,) = place(ready, 1)
    ready.cancel(order)
    ready.drain()
    assert ready.claim(order).status == "released"
    assert ready.movements("phone") == [("received", 10), ("reserved", 1), ("released", 1)]


def test_a_restored_inventory_takes_again_what_confirmed_orders_need(ready: Shop) -> None:
    """The backup is older than the time limit of orders: a confirmed order is annulled by nothing."""
    backup = Backup("inventory")
    confirmed = place(ready, 4)
    ready.drain()
    cancelled = place(ready, 3)
    ready.drain()
    for order in cancelled:
        ready.cancel(order)
    ready.drain()
    backup.restore()
    fence("inventory", reason="restored")
    assert ready.stock("phone") == (10, 0)
    time_out()
    ready.drain()
    ready.time_out()
    ready.drain()
    assert statuses(ready, confirmed) == ["confirmed"] * 4
    assert ready.stock("phone") == (6, 4)


def test_a_sweep_on_a_host_whose_clock_is_ahead_cancels_nothing_early(ready: Shop) -> None:
    """The time is the database's: what a host takes for now is not asked."""
    (order,) = place(ready, 1)
    expire_open_orders()
    assert ready.order(order).status == "open"
    with connections["orders"].cursor() as cursor:
        cursor.execute("UPDATE orders_order SET placed_at = clock_timestamp() - interval '16 minutes'")
    expire_open_orders()
    assert ready.order(order).status == "cancelled"
