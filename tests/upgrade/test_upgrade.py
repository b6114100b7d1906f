"""Databases of release 1.0.0 are migrated where they are, and what it left undone is done by this one.

The fixture is what the release left, by ``pg_dump`` while it was stopped: orders in every state, batches in flight,
messages in the broker, an answer that was lost, a stopped lane and dead letters.
"""

import pytest

from inventory.models import Claim, StockMovement
from orders.models import IdempotencyKey, Order, OutboxEvent, ProductCopy
from readmodel.models import OrderView
from shop.console.audit import audit
from shop.console.introduction import introduce
from shop.messaging.producer.fence import PER_SECOND, fence
from tests.upgrade.left import Left

RELEASE = "release_1_0_0"

LEFT = {
    "confirmed": "confirmed",
    "short": "cancelled",
    "given_back": "cancelled",
    "by_staff": "cancelled",
    "late": "cancelled",
    "parked": "cancelled",
    "unanswered": "open",
    "answered": "open",
    "sent": "open",
    "cancelled_open": "cancelled",
    "open": "open",
}
DECIDED = LEFT | dict.fromkeys(("unanswered", "answered", "sent", "open"), "confirmed")


def test_migrating_changes_no_order_and_keeps_the_log_the_letters_and_what_is_stopped(left: Left) -> None:
    assert left.statuses() == LEFT
    assert OutboxEvent.objects.count() == 44
    assert [(row.consumer, row.source, row.lane) for row in left.cursors() if row.stopped] == [
        ("readmodel", "orders", 2)
    ]
    assert len(left.all_letters()) == 12
    assert not any(row.batch for row in left.subscriptions()), "the fence forgets them: they are read anew"


@pytest.mark.parametrize("broker", ["kept", "wiped"])
def test_the_backlog_is_decided_and_the_audit_holds(left: Left, broker: str) -> None:
    if broker == "wiped":
        left.deliveries.waiting.clear()
    left.work_off()
    assert left.statuses() == DECIDED
    assert not Order.objects.filter(status="open").exists()
    report = audit()
    assert (report.broken, len(report.stopped), len(report.letters)) == ([], 1, 12)
    left.mend()
    report = audit()
    assert (report.broken, report.stopped, report.letters) == ([], [], [])
    assert [result.waiting for result in report.results if result.waiting] == []
    assert dict(OrderView.objects.values_list("pk", "status")) == dict(Order.objects.values_list("pk", "status"))
    assert [row for row in left.subscriptions() if row.batch or row.stopped] == []


def test_what_was_recorded_and_never_sent_takes_effect(left: Left) -> None:
    left.work_off()
    assert ProductCopy.objects.get(pk="phone").price == 31900
    assert not ProductCopy.objects.get(pk="lamp").listed
    assert left.view(left.named("confirmed")).member_name == "Ada L."


def test_an_order_that_was_cancelled_before_the_inventory_heard_of_it_takes_nothing(left: Left) -> None:
    left.work_off()
    order = left.named("cancelled_open")
    assert left.claim(order).status == Claim.Status.RELEASED
    assert not StockMovement.objects.filter(order_id=order.pk).exists()


def test_an_idempotency_key_of_the_older_release_still_answers(left: Left) -> None:
    orders = Order.objects.count()
    again = left.place(("phone", 1), ("case", 2), member_id=left.members["bo"], key="open")
    assert again == left.named("open")
    assert (Order.objects.count(), IdempotencyKey.objects.count()) == (orders, 2)


def test_every_consumer_knows_whom_it_follows_before_the_first_batch(left: Left) -> None:
    identities = {label: outbox.identity for label, outbox in left.outboxes().items()}
    cursors = [cursor for cursor in left.cursors() if cursor.source in identities]
    assert {(cursor.source, cursor.outbox) for cursor in cursors} == set(identities.items())
    assert {cursor.epoch for cursor in cursors} == {None}


def test_positions_begin_anew_once_where_no_history_can_have_been(left: Left) -> None:
    epochs = {label: outbox.epoch for label, outbox in left.outboxes().items()}
    assert min(epochs.values()) > 1_700_000_000 * PER_SECOND
    introduce(["orders"])
    assert fence("orders") is None
    assert {label: outbox.epoch for label, outbox in left.outboxes().items()} == epochs


def test_new_orders_are_decided_beside_the_backlog(left: Left) -> None:
    new = left.place(("phone", 1), member_id=left.members["ada"])
    assert OutboxEvent.objects.latest("position").position >= left.outboxes()["orders"].epoch
    left.work_off()
    assert left.order(new).status == "confirmed"
