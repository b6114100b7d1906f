"""An event that kills its worker raises nothing: it is found by the attempts that were begun and never finished."""

import os
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connections

from readmodel.models import Cursor, DeadLetter
from shop.messaging.batches import Received
from tests.harness import Delivery
from tests.messaging.probe import SOURCE, Probe, in_lane

KILLED = 9


def kill(event: Received) -> None:
    os._exit(KILLED)


def survives(delivery: Delivery) -> bool:
    """Deliver in a process of its own; whether that lives to see the end."""
    connections.close_all()
    pid = os.fork()
    if pid == 0:
        try:
            delivery.deliver()
        finally:
            os._exit(0)
    _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status) != KILLED


def kills(delivery: Delivery, *, limit: int = 50) -> int:
    """How many workers die until one of them finishes the batch, delivered again and again."""
    for count in range(limit):
        if survives(delivery):
            return count
    raise AssertionError(f"{limit} workers died")


def letters() -> list[str]:
    return list(DeadLetter.objects.order_by("position").values_list("key", flat=True))


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    yield
    connections.close_all()


@pytest.mark.parametrize(
    ("count", "place", "most"), [(1, 0, 5), (2, 1, 7), (100, 0, 12), (100, 61, 12), (100, 99, 12), (1000, 777, 15)]
)
def test_an_event_that_kills_its_worker_is_found_and_parked(
    probe: Probe, settings: Any, count: int, place: int, most: int
) -> None:
    keys = in_lane(0, count)
    probe.publish(*keys)
    probe.when(keys[place], kill)
    assert kills(probe.batch()) <= most
    assert letters() == [keys[place]]
    assert "kills its worker" in DeadLetter.objects.get().error
    assert probe.noted() == [number for number in range(1, count + 1) if number != place + 1]
    after = Cursor.objects.get(source=SOURCE, lane=0)
    assert (after.attempts, after.alone) == (0, None)


def test_later_events_of_its_key_wait_behind_it(probe: Probe) -> None:
    a, b = in_lane(0, 2)
    probe.publish(a, b, a, b)
    probe.when(a, lambda event: kill(event) if event.data.available == 1 else None)
    kills(probe.batch())
    assert letters() == [a, a]
    assert probe.noted() == [2, 4]


def test_two_that_kill_their_worker_are_both_found(probe: Probe) -> None:
    keys = in_lane(0, 20)
    probe.publish(*keys)
    probe.when(keys[3], kill)
    probe.when(keys[17], kill)
    assert kills(probe.batch()) <= 18
    assert letters() == [keys[3], keys[17]]
    assert len(probe.noted()) == 18


@pytest.mark.parametrize("count", [1, 10])
def test_a_worker_that_is_killed_four_times_by_something_else_costs_no_event(probe: Probe, count: int) -> None:
    keys = in_lane(0, count)
    probe.publish(*keys)
    batch = probe.batch()
    probe.when(keys[-1], kill)
    assert not any(survives(batch) for _ in range(4))
    probe.when(keys[-1], None)
    assert survives(batch)
    assert letters() == []
    assert probe.noted() == list(range(1, count + 1))
