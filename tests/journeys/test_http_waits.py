"""A request waits for a lock for a short time, then says when to try again; nothing is half done."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPResponse
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connections

from inventory.models import StockMovement
from orders.models import IdempotencyKey, Order, OutboxEvent
from shop.console.roles import ensure_roles
from shop.messaging.producer.outbox import lock_class
from tests.harness import Shop
from tests.journeys.web import Web

PATIENCE = 4  # seconds within which a request that waits for a lock is answered; its statement would end after 5

LANES = (
    "SELECT pg_advisory_xact_lock(%s, lane) FROM generate_series(0, 63) AS lane",
    [lock_class("orders_outboxevent")],
)


@pytest.fixture(autouse=True)
def _short_waits(settings: Any) -> None:
    """Less than by default, so that a busy machine does not make it look like more."""
    settings.WEB_LOCK_TIMEOUT = 0.5


@contextmanager
def frozen(alias: str, sql: str, parameters: list[Any]) -> Iterator[None]:
    """Somebody else holds a lock, and does not go on."""
    other = connections[alias].copy()
    other.set_autocommit(False)
    with other.cursor() as cursor:
        cursor.execute(sql, parameters)
        yield
    other.rollback()
    other.close()


def is_told_to_try_again(request: Callable[[], tuple[HTTPResponse, Any]]) -> bool:
    began = time.monotonic()
    response, problem = request()
    assert time.monotonic() - began < PATIENCE
    assert (response.status, problem["code"]) == (503, "unavailable"), problem
    assert response.headers["Content-Type"] == "application/problem+json"
    assert int(response.headers["Retry-After"]) > 0
    assert problem["detail"].startswith("Part of the shop is temporarily unavailable.")
    return True


@pytest.fixture
def sam(web: Web, shop: Shop) -> Web:
    """Somebody of the stock's staff."""
    user = User.objects.create_user("sam", is_staff=True)
    user.groups.add(ensure_roles()["stock"])
    return web.as_(user)


def test_an_order_does_not_wait_for_lanes_that_are_held(ada: Web, shop: Shop) -> None:
    with frozen("orders", *LANES):
        assert is_told_to_try_again(lambda: ada.place("phone", 1, Idempotency_Key="once"))
        assert not Order.objects.exists()
        assert not IdempotencyKey.objects.exists()
    answer, _ = ada.place("phone", 1, Idempotency_Key="once")
    assert answer.status == 202
    assert Order.objects.count() == 1


def test_a_cancellation_does_not_wait_for_an_order_that_is_held(ada: Web, shop: Shop) -> None:
    _, order = ada.place("phone", 1)
    cancel = lambda: ada.ask("POST", f"/api/orders/{order['id']}/cancel/")  # noqa: E731
    with frozen("orders", "SELECT FROM orders_order WHERE id = %s FOR UPDATE", [order["id"]]):
        assert is_told_to_try_again(cancel)
    assert OutboxEvent.objects.filter(type="orders.order-cancelled").count() == 0
    assert cancel()[0].status == 200


def test_goods_are_not_received_into_an_item_that_is_held(sam: Web, shop: Shop) -> None:
    shop.sell("phone", stock=3)
    receive = lambda: sam.ask("POST", "/api/inventory/stock/phone/receive/", {"quantity": 2})  # noqa: E731
    with frozen("inventory", "SELECT FROM inventory_stockitem WHERE sku = %s FOR UPDATE", ["phone"]):
        assert is_told_to_try_again(receive)
    assert (shop.stock("phone"), StockMovement.objects.count()) == ((3, 0), 1)
    assert receive()[0].status == 200
    assert shop.stock("phone") == (5, 0)


def test_workers_wait_for_locks_as_before(ada: Web, shop: Shop) -> None:
    ada.place("phone", 1)
    connections["orders"].close()  # a request of another test may have opened it
    with connections["orders"].cursor() as cursor:
        cursor.execute("SHOW lock_timeout")
        assert cursor.fetchone() == ("20s",)


def test_a_constraint_that_is_violated_is_no_problem_that_passes(ada: Web, shop: Shop) -> None:
    """PostgreSQL gives it the SQLSTATE of a missing partition, which is one."""
    with connections["orders"].cursor() as cursor:
        cursor.execute("ALTER TABLE orders_orderline ADD CONSTRAINT none_today CHECK (quantity > 5) NOT VALID")
    try:
        assert ada.place("phone", 1)[0].status == 500
    finally:
        with connections["orders"].cursor() as cursor:
            cursor.execute("ALTER TABLE orders_orderline DROP CONSTRAINT none_today")
