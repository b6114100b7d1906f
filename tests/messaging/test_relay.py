"""What the relay reads, sends, and sends again."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connections
from django.utils import timezone

from inventory.models import OutboxEvent, Subscription
from readmodel.models import Cursor
from shop.messaging import broker
from shop.messaging.producer.relay import relay
from tests.harness import Shop
from tests.messaging.probe import NAME, SOURCE, Probe, append_unwanted, due_now, in_lane, subscription

A, B, C = in_lane(0, 3)


# Bounds


def test_a_batch_is_bounded_in_events(probe: Probe, settings: Any) -> None:
    settings.RELAY_EVENTS = 2
    probe.publish(A, B, C)
    assert len(probe.batch().kwargs["events"]) == 2


def test_a_batch_is_bounded_in_bytes_but_holds_one_event_at_least(probe: Probe, settings: Any) -> None:
    probe.publish(A, B, C)
    size = len('{"sku": "key-0", "available": 1, "reserved": 0}')
    for limit, expected in ((1, 1), (size + 2, 2), (10 * size, 3)):
        settings.RELAY_BYTES = limit
        batch = probe.batch()
        assert len(batch.kwargs["events"]) == expected
        assert batch.kwargs["through"] == int(batch.kwargs["events"][-1]["id"])
        Subscription.objects.update(batch=None, tries=0)


@pytest.mark.parametrize("bound", ["RELAY_EVENTS", "RELAY_BYTES"])
def test_a_resend_holds_all_that_it_claims_to_hold_whatever_the_bounds_are_now(
    probe: Probe, settings: Any, bound: str
) -> None:
    """A deployment with lower bounds, while a batch is in flight, must not cut what ``through`` covers."""
    probe.publish(A, B, C)
    sent = probe.batch()
    setattr(settings, bound, 1)
    due_now()
    again = probe.batch()
    assert again.kwargs["through"] == sent.kwargs["through"]
    assert again.kwargs["events"] == sent.kwargs["events"]


def test_everything_arrives_in_order_in_the_smallest_batches(probe: Probe, settings: Any) -> None:
    settings.RELAY_BYTES = 1
    probe.publish(*[A, B, C] * 5)
    probe.drain()
    assert probe.noted() == list(range(1, 16))


# What is not wanted


def test_a_lane_full_of_unwanted_events_ends(probe: Probe, settings: Any) -> None:
    settings.RELAY_EVENTS = 3
    append_unwanted(20)
    probe.publish(A)
    append_unwanted(20)
    probe.drain()
    assert probe.noted() == [1]
    assert subscription().scanned == OutboxEvent.objects.filter(lane=0).latest("position").position


def test_an_unwanted_backlog_is_moved_over_without_sending_anything(probe: Probe, settings: Any) -> None:
    settings.RELAY_EVENTS = 3
    probe.batch(empty=True)
    Subscription.objects.update(batch=None, tries=0, due_at=timezone.now() + timedelta(minutes=1))
    append_unwanted(20)
    relay(SOURCE)
    assert subscription().scanned == OutboxEvent.objects.latest("position").position
    assert subscription().batch is None
    assert subscription().acknowledged == 0


def test_a_batch_behind_unwanted_events_begins_where_the_consumer_is(probe: Probe) -> None:
    """Beginning where the relay has looked to, it would be a gap to the consumer, again and again."""
    append_unwanted(5)
    Subscription.objects.update(due_at=timezone.now() + timedelta(minutes=1))
    relay(SOURCE)
    Subscription.objects.update(batch=None, tries=0)
    probe.publish(A)
    batch = probe.batch()
    assert subscription().scanned > subscription().acknowledged == batch.kwargs["after"] == 0
    batch.deliver()
    assert probe.noted() == [1]


def test_scanned_never_moves_past_the_last_row_of_its_own_lane(probe: Probe) -> None:
    """Past it, a row of this lane could still be uncommitted, at a smaller position than the head's."""
    append_unwanted(1, lane=0)
    mine = OutboxEvent.objects.get().position
    append_unwanted(5, lane=1)
    relay(SOURCE)
    assert subscription().scanned == mine


def test_a_pass_moves_over_a_bounded_number_of_unwanted_pages(
    probe: Probe, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shop.messaging.producer.relay.UNWANTED_PAGES", 2)
    settings.RELAY_EVENTS = 2
    append_unwanted(10)
    first = OutboxEvent.objects.earliest("position").position
    relay(SOURCE)
    assert subscription().scanned == first + 3


# Idle


def test_an_idle_subscription_sends_an_empty_batch_with_the_time_it_was_read(probe: Probe) -> None:
    probe.publish(A)
    probe.drain()
    before = timezone.now()
    due_now()
    batch = probe.batch(empty=True, lane=0)
    assert batch.kwargs["after"] == batch.kwargs["through"] == subscription().acknowledged
    assert datetime.fromisoformat(batch.kwargs["time"]) >= before


def test_the_answer_to_an_empty_batch_says_how_fresh_the_consumer_is(probe: Probe) -> None:
    probe.publish(A)
    probe.drain()
    before = timezone.now()
    due_now()
    probe.drain()
    assert Cursor.objects.get(source=SOURCE, lane=0).fresh_at >= before


def test_an_old_empty_batch_does_not_make_a_consumer_look_less_fresh(probe: Probe) -> None:
    due_now()
    old = probe.batch(empty=True)
    old.deliver()
    probe.drain()
    due_now()
    probe.drain()
    fresh_at = Cursor.objects.get(source=SOURCE, lane=old.kwargs["lane"]).fresh_at
    old.deliver()
    assert Cursor.objects.get(source=SOURCE, lane=old.kwargs["lane"]).fresh_at == fresh_at


def test_a_consumer_that_is_behind_is_no_fresher_than_what_it_was_sent(probe: Probe, settings: Any) -> None:
    settings.RELAY_EVENTS = 1
    probe.publish(A)
    probe.publish(B)
    probe.batch().deliver()
    first = OutboxEvent.objects.earliest("position")
    assert Cursor.objects.get(source=SOURCE, lane=0).fresh_at == first.recorded_at


def test_an_empty_batch_comes_only_after_the_idle_time(probe: Probe, settings: Any) -> None:
    probe.drain()
    assert relay(SOURCE) == 0
    idle = subscription().due_at - timezone.now()
    assert settings.RELAY_IDLE - timedelta(seconds=5) < idle <= settings.RELAY_IDLE


# What holds up nobody else


def test_a_page_that_cannot_be_read_holds_up_its_own_lane_only(probe: Probe, shop: Shop) -> None:
    """A row that somebody wrote by hand, with headers that are none."""
    with connections[SOURCE].cursor() as cursor:
        cursor.execute(
            "INSERT INTO inventory_outboxevent (lane, type, key, data, headers) "
            "VALUES (0, 'inventory.stock-changed', 'x', '{}', '[]')"
        )
    elsewhere = in_lane(1, 1)
    probe.publish(*elsewhere)
    probe.drain()
    assert probe.noted() == [1]
    row = subscription()
    assert (row.batch, row.tries > 0) == (None, True)
    tries = row.tries
    relay(SOURCE)
    assert subscription().tries == tries, "it is left alone until its time comes"
    due_now()
    relay(SOURCE)
    assert subscription().tries == tries + 1
    OutboxEvent.objects.filter(key="x")._raw_delete(SOURCE)
    probe.publish(A)
    due_now()
    probe.drain()
    assert probe.noted() == [1, 2]


def test_the_broker_is_never_called_while_a_row_is_locked(
    probe: Probe, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []

    def unlocked(name: str) -> None:
        calls.append(name)
        assert not any(connections[alias].in_atomic_block for alias in connections), name

    send = broker.send
    monkeypatch.setattr(broker, "send", lambda *args, **fields: (unlocked("send"), send(*args, **fields)))
    monkeypatch.setattr(broker, "is_backed_up", lambda queue: unlocked("is_backed_up"))
    probe.publish(A, B)
    probe.batch()
    due_now()
    probe.drain()
    assert set(calls) == {"send", "is_backed_up"}
    assert probe.noted() == [1, 2]


@pytest.mark.parametrize("hours", [-1, 1])
def test_when_a_batch_is_due_is_the_database_s_time_whatever_the_host_s_clock_says(
    probe: Probe, monkeypatch: pytest.MonkeyPatch, hours: int
) -> None:
    there = timezone.now
    monkeypatch.setattr(timezone, "now", lambda: there() + timedelta(hours=hours))
    probe.publish(A)
    sent = probe.batch()
    assert relay(SOURCE) == 0, "it is not due again"
    assert abs(subscription().due_at - there()) < timedelta(minutes=1)
    sent.deliver()
    probe.acknowledgement().deliver()
    fresh_at = Cursor.objects.get(source=SOURCE, lane=0).fresh_at
    assert abs(fresh_at - there()) < timedelta(minutes=1)


def test_a_subscription_that_is_missing_for_one_lane_is_made_again(probe: Probe) -> None:
    probe.publish(A)
    probe.drain()
    Subscription.objects.filter(consumer=NAME, lane=0).delete()
    probe.publish(A)
    probe.drain()
    assert probe.noted() == [1, 2]
    assert subscription().stopped == ""
