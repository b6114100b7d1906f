"""Release 1.1.0 knew neither participants nor shipping: its orders are the inventory's alone.

The fixture is what the release left: orders in every state, a batch in flight, an answer that was not sent.
"""

from typing import Any

import pytest
from django.db import connections

from orders.models import Order
from orders.services import ship_order
from shop.console.audit import audit
from shop.databases import database_time
from tests.upgrade.left import Left

RELEASE = "release_1_1_0"

LEFT = {
    "confirmed": "confirmed",
    "short": "cancelled",
    "cancelled": "cancelled",
    "answered": "open",
    "sent": "open",
    "refused_unheard": "open",
    "cancelled_open": "cancelled",
    "open": "open",
}
DECIDED = LEFT | {"answered": "confirmed", "sent": "confirmed", "open": "confirmed", "refused_unheard": "cancelled"}


def test_migrating_decides_nothing_and_names_nobody(left: Left) -> None:
    assert left.statuses() == LEFT
    assert set(map(tuple, Order.objects.values_list("participants", flat=True))) == {()}


@pytest.mark.parametrize("broker", ["kept", "wiped"])
def test_the_backlog_is_decided_by_the_inventory_alone_and_the_audit_holds(left: Left, broker: str) -> None:
    if broker == "wiped":
        left.deliveries.waiting.clear()
    left.work_off()
    assert left.statuses() == DECIDED
    report = audit()
    assert (report.broken, report.letters, report.stopped) == ([], [], [])


def test_an_order_of_that_release_is_shipped(left: Left) -> None:
    ship_order(order_id=left.named("confirmed").pk, at=database_time("orders"))
    left.work_off()
    assert left.view(left.named("confirmed")).status == "shipped"
    assert audit().broken == []


def test_a_process_of_that_release_may_place_orders_on_the_migrated_tables(left: Left) -> None:
    with connections["orders"].cursor() as cursor:
        cursor.execute(
            "INSERT INTO orders_order (id, member_id, status, total, currency, placed_at)"
            " VALUES (gen_random_uuid(), 1, 'open', 5, 'CNY', now()) RETURNING participants::text"
        )
        assert cursor.fetchone() == ("[]",)


def test_a_worker_of_that_release_cannot_confirm_an_order_to_which_not_all_agreed(left: Left) -> None:
    order = left.place(("phone", 1), member_id=left.members["ada"])
    sql = "UPDATE orders_order SET status = 'confirmed', confirmed_at = now() WHERE id = %s"
    with connections["orders"].cursor() as cursor, pytest.raises(Exception, match="orders_order_agreed"):
        cursor.execute(sql, [order.pk])


def test_an_idempotency_key_of_that_release_still_answers(left: Left, settings: Any) -> None:
    again = left.place(("phone", 1), member_id=left.members["bo"], key="open")
    assert again == left.named("open")
