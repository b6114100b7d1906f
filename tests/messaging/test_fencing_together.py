"""Fences among others' work: several at once, and while many append and relay."""

from threading import Barrier

import pytest
from django.db import connections, transaction

from inventory.events import StockChanged
from inventory.models import Fence, Outbox, OutboxEvent
from shop.messaging import failpoints
from shop.messaging.failpoints import Failpoint
from shop.messaging.producer.fence import LEAP, fence, present
from shop.messaging.producer.outbox import Entry, append
from shop.messaging.producer.relay import relay
from tests.harness import in_background
from tests.messaging.probe import SOURCE, Probe, due_now, in_lane

KEYS = [key for lane in range(4) for key in in_lane(lane, 1)]


def append_in_turn(writer: int, count: int) -> None:
    for number in range(count):
        with transaction.atomic(using=SOURCE):
            event = StockChanged(sku=KEYS[writer], available=number + 1, reserved=0)
            append(SOURCE, SOURCE, [Entry(KEYS[writer], event, {})])


def test_fences_by_hand_at_once_are_each_beyond_the_other(probe: Probe) -> None:
    probe.publish(KEYS[0])
    together = Barrier(4)

    def one() -> int | None:
        together.wait(10)
        return fence(SOURCE, reason="by hand")

    epochs = [fenced.result(30) for fenced in [in_background(one) for _ in range(4)]]
    assert len(set(epochs)) == 4
    assert {row.first for row in Fence.objects.filter(reason="by hand")} == set(epochs)
    assert Outbox.objects.get().epoch == max(filter(None, epochs))
    probe.publish(KEYS[0])
    assert OutboxEvent.objects.latest("position").position >= Outbox.objects.get().epoch


def test_many_that_find_themselves_on_another_server_fence_once(probe: Probe) -> None:
    present(SOURCE)
    Fence.objects.all().delete()
    Outbox.objects.update(server="another")
    together = Barrier(4)

    def one() -> int:
        together.wait(10)
        return present(SOURCE).identity.epoch

    epochs = {seen.result(30) for seen in [in_background(one) for _ in range(4)]}
    assert epochs == {row.first for row in Fence.objects.all()}
    assert len(epochs) == 1


def test_a_fence_holds_no_lock_that_its_connection_would_keep(probe: Probe, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pool gives the connection to somebody else, and with it whatever it locked for itself."""
    present(SOURCE)
    locks = []

    def look(point: Failpoint) -> None:
        if point == Failpoint.FENCED:
            with connections[SOURCE].cursor() as cursor:
                cursor.execute("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid <> pg_backend_pid()")
                locks.append(cursor.fetchone()[0])

    monkeypatch.setattr(failpoints, "at_each_failpoint", look)
    assert fence(SOURCE, reason="by hand")
    assert locks == [0]


def test_every_event_takes_effect_once_and_in_order_while_fences_fall_between(probe: Probe) -> None:
    writers = [in_background(lambda writer=writer: append_in_turn(writer, 60)) for writer in range(4)]

    def fences() -> None:
        for number in range(3):
            if number % 2:
                Outbox.objects.update(server="another")
            else:
                fence(SOURCE, reason="a test")

    relays = [in_background(lambda: [relay(SOURCE) for _ in range(30)]) for _ in range(2)]
    fencing = in_background(fences)
    while not all(work.done() for work in [*writers, *relays, fencing]):
        if probe.deliveries.waiting:
            probe.deliveries.waiting.pop(0).deliver()
    for work in [*writers, *relays, fencing]:
        work.result(30)
    for _ in range(3):
        due_now()
        probe.drain()
    for key in KEYS:
        assert probe.noted(key) == list(range(1, 61))
    lanes = [list(OutboxEvent.objects.filter(key=key).order_by("position")) for key in KEYS]
    assert all([event.data["available"] for event in lane] == list(range(1, 61)) for lane in lanes)


def test_fences_of_two_branches_within_a_second_have_different_epochs(probe: Probe) -> None:
    """The second branch knows nothing of the first one's fence: only the time tells them apart."""
    present(SOURCE)
    known = Outbox.objects.values().get()
    with connections[SOURCE].cursor() as cursor:
        cursor.execute("SELECT last_value FROM inventory_outboxevent_position")
        last = cursor.fetchone()[0] - 10 * LEAP
        epochs = []
        for _ in range(2):
            cursor.execute("SELECT setval('inventory_outboxevent_position', %s)", [last])
            Outbox.objects.update(epoch=known["epoch"])
            Fence.objects.all().delete()
            epochs.append(fence(SOURCE, reason="a branch"))
    assert epochs[1] > epochs[0]  # type: ignore[operator]
