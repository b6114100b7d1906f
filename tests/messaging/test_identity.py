"""Every outbox is one of its kind: another one's batches are refused, and positions stay unique behind a fence."""

from typing import Any
from uuid import uuid4

import pytest
from django.db import connections, transaction

from inventory.events import StockChanged
from inventory.models import Fence, Outbox, OutboxEvent
from readmodel.models import Cursor
from shop.console.introduction import introduce
from shop.messaging import failpoints
from shop.messaging.consumer.deadletters import resume
from shop.messaging.producer.fence import fence, present
from shop.messaging.producer.outbox import Entry, append
from shop.messaging.producer.relay import relay
from tests.messaging.probe import (
    CONSUMER,
    NAME,
    SOURCE,
    Probe,
    cursor,
    due_now,
    in_lane,
    last_position,
    subscription,
)

A, B = in_lane(0, 2)


# Whose batch is it?


def test_the_first_batch_tells_a_cursor_whom_it_follows(probe: Probe) -> None:
    probe.publish(A)
    probe.drain()
    identity = present(SOURCE).identity
    assert {(row.outbox, row.epoch) for row in Cursor.objects.filter(source=SOURCE)} == {identity}


def test_a_batch_of_another_outbox_changes_nothing_and_stops_its_sender(probe: Probe) -> None:
    probe.publish(A)
    probe.drain()
    probe.publish(B)
    batch = probe.batch()
    before = Cursor.objects.filter(source=SOURCE, lane=0).values().get()
    batch.kwargs["outbox"] = str(uuid4())
    batch.deliver()
    assert Cursor.objects.filter(source=SOURCE, lane=0).values().get() == before
    assert probe.noted() == [1]
    answer = probe.acknowledgement()
    assert "QUEUE_PREFIX" in answer.kwargs["refused"]
    answer.kwargs["outbox"] = str(present(SOURCE).identity.outbox)  # its sender finds itself in it
    answer.deliver()
    assert "refuses this outbox" in subscription().stopped
    due_now()
    assert not [delivery for delivery in _relayed(probe) if delivery.kwargs["lane"] == 0]


def _relayed(probe: Probe) -> list[Any]:
    probe.deliveries.waiting.clear()
    relay(SOURCE)
    return [delivery for delivery in probe.deliveries.waiting if delivery.task == CONSUMER.task]


def test_another_deployment_s_answer_moves_nothing(probe: Probe) -> None:
    probe.publish(A)
    batch = probe.batch()
    batch.deliver()
    answer = probe.acknowledgement()
    answer.kwargs["outbox"] = str(uuid4())
    answer.deliver()
    assert subscription().acknowledged == 0
    assert str(subscription().batch) == batch.kwargs["id"]


def test_migrate_tells_each_consumer_whom_it_follows_so_that_a_stranger_is_never_adopted(probe: Probe) -> None:
    introduce([connections[NAME].alias])
    assert cursor().outbox == present(SOURCE).identity.outbox
    probe.message(after=0, through=10, outbox=str(uuid4()), epoch=1).deliver()
    assert cursor().position == 0
    assert probe.acknowledgement().kwargs["refused"]
    introduce([connections[SOURCE].alias])
    probe.publish(A)
    probe.drain()
    assert probe.noted() == [1]


def test_a_stopped_lane_refuses_a_stranger_and_remembers_the_batch_that_waits_for_it(probe: Probe) -> None:
    probe.publish(A)
    probe.drain()
    Cursor.objects.filter(source=SOURCE, lane=0).update(stopped="bad code")
    probe.publish(B)
    waiting = probe.batch()
    waiting.deliver()
    identity = present(SOURCE).identity
    probe.message(after=0, through=10, outbox=str(uuid4()), epoch=identity.epoch).deliver()
    assert probe.acknowledgement().kwargs["refused"]
    probe.message(after=0, through=10, outbox=str(identity.outbox), epoch=identity.epoch - 1).deliver()
    assert str(cursor().left_alone) == waiting.kwargs["id"]
    resume(NAME, source=SOURCE, lane=0)
    probe.drain()
    assert probe.noted() == [1, 2]


# Fences


def test_a_new_outbox_begins_where_no_other_can_have_been(probe: Probe) -> None:
    probe.publish(A)
    assert last_position() >= Outbox.objects.get().epoch > 1_700_000_000 * 2**20


def test_nothing_is_fenced_while_the_server_stays_the_same(probe: Probe) -> None:
    probe.publish(A)
    epoch = present(SOURCE).identity.epoch
    probe.publish(A)
    probe.drain()
    assert fence(SOURCE) is None
    assert present(SOURCE).identity.epoch == epoch


def test_an_append_on_another_server_is_fenced_in_the_middle_of_its_transaction(probe: Probe) -> None:
    probe.publish(A)
    before = last_position()
    Outbox.objects.update(server="another")
    probe.publish(A, B)
    (row,) = Fence.objects.all()
    assert (row.last_kept, row.first) == (before, Outbox.objects.get().epoch)
    assert list(OutboxEvent.objects.filter(position__gt=before).values_list("position", flat=True).order_by("pk")) == [
        row.first,
        row.first + 1,
    ]


def test_a_fence_stands_though_the_append_that_needed_it_is_rolled_back(probe: Probe) -> None:
    present(SOURCE)
    Outbox.objects.update(server="another")
    with transaction.atomic(using=SOURCE):
        append(SOURCE, SOURCE, [Entry(A, StockChanged(sku=A, available=1, reserved=0), {})])
        transaction.set_rollback(True, using=SOURCE)
    epoch = Outbox.objects.get().epoch
    assert Outbox.objects.get().server != "another"
    probe.publish(A)
    assert last_position() > epoch


def test_a_batch_from_before_the_fence_is_left_alone(probe: Probe) -> None:
    probe.publish(A)
    old = probe.batch()
    fence(SOURCE, reason="a test")
    probe.publish(A)
    probe.drain()
    assert probe.noted() == [1, 2]
    position = cursor().position
    old.kwargs["through"] = position + 1
    old.deliver()
    assert (cursor().position, probe.noted()) == (position, [1, 2])


def test_who_applies_an_old_batch_while_the_source_is_fenced_lets_it_be(
    probe: Probe, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker that was slow: by the time that it applies, its cursor has heard of the fence."""
    probe.publish(A)
    slow = probe.batch()

    def hear_of_the_fence(event: Any) -> None:
        raise AssertionError("it must not be applied")

    probe.when(A, hear_of_the_fence)

    def at(point: failpoints.Failpoint) -> None:
        if point == failpoints.Failpoint.ATTEMPT_RECORDED:
            Cursor.objects.filter(source=SOURCE, lane=0).update(epoch=present(SOURCE).identity.epoch + 1)

    monkeypatch.setattr(failpoints, "at_each_failpoint", at)
    slow.deliver()
    assert cursor().position == 0
