"""Releases are mixed while they are rolled out, in any order: nothing is lost, and nothing is out of order."""

from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db import transaction

from inventory.events import InventoryLocked, StockChanged
from inventory.models import OutboxEvent, Subscription
from readmodel.models import Cursor
from shop.console.audit import audit
from shop.messaging import consumers
from shop.messaging.batches import BatchMessage
from shop.messaging.consumer.receiving import answer_what_was_left_alone, receive
from shop.messaging.consumers import Consumer
from shop.messaging.producer.outbox import Entry, append
from shop.messaging.producer.relay import relay
from tests.harness import Delivery
from tests.messaging.probe import CONSUMER, NAME, SOURCE, Probe, due_now, in_lane, subscription

(A,) = in_lane(0, 1)

WANTS_MORE = (InventoryLocked.wire_name, StockChanged.wire_name)


class Upgraded:
    """The probe's consumer in a newer release, which wants one type more, and the numbers that it was given."""

    def __init__(self, probe: Probe, monkeypatch: pytest.MonkeyPatch) -> None:
        self.probe = probe
        self.monkeypatch = monkeypatch
        self.given: list[int] = []
        self.consumer: Consumer = replace(CONSUMER, types=WANTS_MORE, react=self._react)

    def _react(self, batch: Any) -> None:
        self.given += [event.position for event in batch]

    def roll_out(self) -> None:
        """Let relays know the newer release."""
        self.monkeypatch.setitem(consumers._consumers, (NAME, SOURCE), self.consumer)

    def receive(self, delivery: Delivery) -> bool:
        return receive(self.consumer, BatchMessage.read(delivery.kwargs))

    def drain(self) -> None:
        """Relay, and receive with this release, until nothing comes any more."""
        while relay(SOURCE) or self.probe.deliveries.waiting:
            while self.probe.deliveries.waiting:
                delivery = self.probe.deliveries.waiting.pop(0)
                if delivery.task == CONSUMER.task:
                    self.receive(delivery)
                elif delivery.kwargs.get("consumer") in (NAME, None):
                    delivery.deliver()


@pytest.fixture
def upgraded(probe: Probe, monkeypatch: pytest.MonkeyPatch) -> Upgraded:
    return Upgraded(probe, monkeypatch)


def lock(key: str = A) -> int:
    """Record an event of the type that only the newer release wants; its position."""
    with transaction.atomic(using=SOURCE):
        append(SOURCE, SOURCE, [Entry(key, InventoryLocked(order_id=uuid4()), {})])
    return OutboxEvent.objects.latest("position").position


def change(probe: Probe) -> int:
    """Record an event of the type that both releases want; its position."""
    probe.publish(A)
    return OutboxEvent.objects.latest("position").position


def as_a_relay_of_1_0(**columns: Any) -> None:
    """Write what a relay of 1.0 writes, and leave alone what it does not know."""
    Subscription.objects.filter(consumer=NAME, lane=0).update(**columns)


def test_what_an_older_relay_moved_over_is_sent_to_a_consumer_that_wants_it(probe: Probe, upgraded: Upgraded) -> None:
    relay(SOURCE)
    probe.deliveries.waiting.clear()
    positions = [lock(), change(probe)]
    as_a_relay_of_1_0(scanned=positions[0], batch=None, tries=0)
    upgraded.roll_out()
    upgraded.drain()
    assert upgraded.given == positions
    assert [name for name in audit().broken if name.startswith("messaging.")] == []


def test_what_our_own_relay_moved_over_under_fewer_types_is_sent_to_a_consumer_that_wants_more(
    probe: Probe, upgraded: Upgraded
) -> None:
    relay(SOURCE)
    as_a_relay_of_1_0(batch=None, tries=0)
    probe.deliveries.waiting.clear()
    first = lock()
    relay(SOURCE)
    assert subscription().scanned == first
    upgraded.roll_out()
    second = change(probe)
    upgraded.drain()
    assert upgraded.given == [first, second]


@pytest.mark.parametrize("types_kept", [True, False], ids=["sent by us", "sent by 1.0"])
def test_a_batch_in_flight_under_fewer_types_is_read_anew_for_a_consumer_that_wants_more(
    probe: Probe, upgraded: Upgraded, types_kept: bool
) -> None:
    positions = [lock(), change(probe)]
    old = probe.batch()
    if not types_kept:
        as_a_relay_of_1_0(types=WANTS_MORE, types_of=uuid4())  # what it leaves is of an earlier batch
    upgraded.roll_out()
    due_now()
    new = probe.batch()
    assert new.kwargs["id"] != old.kwargs["id"]
    assert upgraded.receive(new)
    assert not upgraded.receive(old)
    assert upgraded.given == positions


def test_a_batch_in_flight_is_sent_again_as_it_was_though_the_consumer_wants_less_by_now(
    probe: Probe, upgraded: Upgraded, monkeypatch: pytest.MonkeyPatch
) -> None:
    upgraded.roll_out()
    positions = [lock(), change(probe)]
    sent = probe.batch()
    monkeypatch.setitem(consumers._consumers, (NAME, SOURCE), CONSUMER)
    due_now()
    again = probe.batch()
    assert again.kwargs["events"] == sent.kwargs["events"]
    assert (again.kwargs["id"], again.kwargs["types"]) == (sent.kwargs["id"], list(WANTS_MORE))
    assert upgraded.receive(again)
    assert upgraded.given == positions


def test_a_worker_that_wants_less_than_the_cursor_moved_under_leaves_batches_alone(
    probe: Probe, upgraded: Upgraded
) -> None:
    """An older relay filters by what an older worker wants: together they would pass over what is wanted now."""
    upgraded.roll_out()
    lock()
    upgraded.drain()
    second = lock()
    third = change(probe)
    message = probe.message(after=upgraded.given[-1], through=third)
    message.deliver()
    assert Cursor.objects.get(source=SOURCE, lane=0).position == upgraded.given[0]
    upgraded.drain()
    assert upgraded.given[1:] == [second, third]


def test_a_type_that_is_given_up_is_no_longer_applied_and_stops_nothing(probe: Probe, upgraded: Upgraded) -> None:
    upgraded.roll_out()
    lock()
    upgraded.drain()
    lock()
    last = change(probe)
    batch = probe.batch()
    wants_less = replace(upgraded.consumer, types=CONSUMER.types, given_up=frozenset({InventoryLocked.wire_name}))
    before = list(upgraded.given)
    assert receive(wants_less, BatchMessage.read(batch.kwargs))
    assert upgraded.given == [*before, last]


def test_a_batch_that_was_left_alone_comes_at_once_when_a_newer_worker_starts(probe: Probe, upgraded: Upgraded) -> None:
    upgraded.roll_out()
    positions = [lock(), change(probe)]
    probe.batch().deliver()
    assert probe.noted() == []
    assert probe.deliveries.take("inventory.relay") == []
    assert answer_what_was_left_alone(NAME) == 1
    upgraded.drain()
    assert upgraded.given == positions
    assert answer_what_was_left_alone(NAME) == 0


def test_a_type_that_is_wanted_only_now_is_given_from_now_on_and_the_audit_names_its_past(
    probe: Probe, upgraded: Upgraded
) -> None:
    past = lock()
    seen = change(probe)
    probe.drain()
    upgraded.roll_out()
    upgraded.drain()
    first = lock()
    upgraded.drain()
    assert upgraded.given == [first]
    assert Cursor.objects.get(source=SOURCE, lane=0).types == {WANTS_MORE[0]: seen, WANTS_MORE[1]: 0}
    (result,) = [result for result in audit().results if result.invariant.name == "messaging.wanted"]
    assert [(row["type"], row["events"], row["first"]) for row in result.rows] == [(WANTS_MORE[0], 1, past)]


def test_a_claim_saves_reading_again_what_nobody_wants(probe: Probe) -> None:
    relay(SOURCE)
    as_a_relay_of_1_0(batch=None, tries=0)
    for _ in range(3):
        lock()
    relay(SOURCE)
    row = subscription()
    assert (row.claim_types, row.claim_from, row.claim_to) == (list(CONSUMER.types), 0, row.scanned)
    assert row.reads_after(CONSUMER.types) == row.scanned > row.acknowledged == 0
    assert row.reads_after(WANTS_MORE) == 0


def test_fields_that_a_newer_release_adds_to_a_batch_or_its_answer_are_ignored(probe: Probe) -> None:
    probe.publish(A)
    batch = probe.batch()
    batch.kwargs.update(signature="x", compressed=False)
    batch.deliver()
    answer = probe.acknowledgement()
    answer.kwargs.update(took_seconds=0.1)
    answer.deliver()
    assert probe.noted() == [1]
    assert subscription().acknowledged == batch.kwargs["through"]


def as_1_0_sends(batch: Delivery) -> Delivery:
    """The batch without what a relay of 1.0 does not say."""
    said = ("id", "source", "lane", "types", "after", "through", "time", "events")
    return replace(batch, kwargs={name: batch.kwargs[name] for name in said})


def test_a_batch_of_1_0_is_taken_before_its_outbox_has_shown_an_identity(probe: Probe) -> None:
    probe.publish(A, A)
    batch = probe.batch()
    as_1_0_sends(batch).deliver()
    assert probe.noted() == [1, 2]
    assert probe.acknowledgement().kwargs["outbox"] is None
    batch.deliver()
    assert Cursor.objects.get(source=SOURCE, lane=0).outbox == UUID(batch.kwargs["outbox"])


def test_a_relay_of_1_0_that_still_runs_is_heard_after_a_newer_one(probe: Probe) -> None:
    probe.publish(A)
    probe.drain()
    probe.publish(A)
    as_1_0_sends(probe.batch()).deliver()
    assert probe.noted() == [1, 2]
    answer = probe.acknowledgement()
    assert answer.kwargs["outbox"] is None
    answer.deliver()
    assert subscription().acknowledged == OutboxEvent.objects.latest("position").position
    due_now()
    as_1_0_sends(probe.batch(empty=True, lane=0)).deliver()
    assert probe.acknowledgement().kwargs["cursor"] == subscription().acknowledged


def test_a_relay_of_1_0_is_answered_in_a_lane_where_nothing_was_recorded_since_the_epoch(probe: Probe) -> None:
    relay(SOURCE)
    idle = probe.batch(empty=True, lane=0)
    idle.deliver()
    probe.deliveries.waiting.clear()
    assert Cursor.objects.get(source=SOURCE, lane=0).epoch == idle.kwargs["epoch"]
    as_1_0_sends(idle).deliver()
    assert probe.acknowledgement().kwargs["cursor"] == 0


def test_without_an_identity_a_batch_from_before_the_epoch_is_left_alone(probe: Probe) -> None:
    probe.publish(A)
    probe.drain()
    for after in (0, 10):
        probe.message(after=after, through=10).deliver()
    assert probe.deliveries.waiting == []
    assert probe.noted() == [1]
