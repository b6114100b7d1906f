"""A dead letter is written whatever its event and its error contain; where it cannot be, the lane stops visibly."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from readmodel.models import Cursor, DeadLetter
from shop.messaging.batches import Received
from shop.messaging.consumer.deadletters import resume, retry
from shop.messaging.consumer.letters import event_of
from tests.messaging.probe import NAME, SOURCE, Probe, due_now, in_lane

A, B = in_lane(0, 2)

NUL, HALF = "a\0b", "a\ud83db"


class Unspeakable(Exception):
    def __repr__(self) -> str:
        raise ValueError("no words")


def fails_with(error: Exception) -> Any:
    def rule(event: Received) -> None:
        raise error

    return rule


@pytest.mark.parametrize(
    "error",
    [ValueError(NUL), ValueError(HALF), ValueError("x" * 1_000_000), KeyError(b"\0\xff"), Unspeakable()],
    ids=["U+0000", "half a surrogate pair", "a million characters", "bytes", "no repr"],
)
def test_an_error_of_any_text_is_written(probe: Probe, error: Exception) -> None:
    probe.publish(A, B)
    probe.when(A, fails_with(error))
    probe.batch().deliver()
    assert probe.noted() == [2]
    letter = DeadLetter.objects.get()
    assert type(error).__name__ in letter.error
    assert len(letter.error) <= 10_000
    assert "in rule" in letter.traceback


@pytest.mark.parametrize("value", [NUL, HALF, math.nan, math.inf, "\\u0000"], ids=ascii)
def test_an_event_of_any_content_is_kept_as_it_came_and_retried_as_it_came(probe: Probe, value: Any) -> None:
    probe.publish(A, B)
    batch = probe.batch()
    batch.kwargs["events"][0]["data"]["note"] = {"of": [value], f"{value}": 1}
    before = repr(batch.kwargs["events"][0])
    seen = []
    probe.when(A, fails_with(ValueError()))
    batch.deliver()
    letter = DeadLetter.objects.get()
    assert repr(event_of(letter)) == before
    probe.when(A, lambda event: seen.append(event.position))
    assert retry(NAME, source=SOURCE, key=A) == 1
    assert seen == [letter.position]
    assert probe.noted() == [2, 1]


@pytest.mark.parametrize("name", ["k" * 200, "k" * 99 + HALF, "k" * 99 + NUL])
def test_a_key_that_fits_no_column_holds_up_its_own_later_events_alone(probe: Probe, name: str) -> None:
    probe.publish(A, B, A)
    batch = probe.batch()
    for event in batch.kwargs["events"]:
        event["subject"] = {A: name, B: B}[event["subject"]]
    probe.when(name, fails_with(ValueError()))
    batch.deliver()
    assert probe.noted() == [2]
    first, second = DeadLetter.objects.order_by("position")
    assert first.key == second.key
    assert (first.attempts, second.attempts) == (3, 0)
    seen: list[str] = []
    probe.when(name, lambda event: seen.append(event.key))
    retry(NAME, source=SOURCE, key=first.key)
    assert set(seen) == {name}, "what is retried is what came"


def test_long_keys_that_begin_alike_do_not_wait_for_each_other(probe: Probe) -> None:
    probe.publish(A, A)
    batch = probe.batch()
    keys = ["k" * 200, "k" * 199 + "!"]
    for event, key in zip(batch.kwargs["events"], keys, strict=True):
        event["subject"] = key
    for key in keys:
        probe.when(key, fails_with(ValueError()))
    batch.deliver()
    one, other = DeadLetter.objects.all()
    assert one.key != other.key
    assert {one.attempts, other.attempts} == {3}


@contextmanager
def unwritable(probe: Probe) -> Iterator[None]:
    """No dead letter can be written."""
    probe.execute("ALTER TABLE readmodel_deadletter ADD CONSTRAINT none CHECK (position < 0) NOT VALID")
    try:
        yield
    finally:
        probe.execute("ALTER TABLE readmodel_deadletter DROP CONSTRAINT none")


def test_a_letter_that_cannot_be_written_stops_the_lane_and_says_why(probe: Probe) -> None:
    elsewhere = in_lane(1, 1)
    probe.publish(B, A, B, *elsewhere)
    probe.when(A, fails_with(ValueError("my fault")))
    with unwritable(probe):
        probe.drain()
        stopped = Cursor.objects.get(source=SOURCE, lane=0)
        assert "cannot be written" in stopped.stopped
        assert "violates check constraint" in stopped.stopped
        assert "my fault" in stopped.stopped
    assert sorted(probe.noted()) == [1, 4], "what came before is applied, and the other lane goes on"
    assert resume(NAME, source=SOURCE, lane=0)
    probe.deliveries.waiting.clear()
    due_now()
    probe.drain()
    assert sorted(probe.noted()) == [1, 3, 4]
    assert DeadLetter.objects.get().key == A


def test_a_letter_behind_another_that_cannot_be_written_stops_the_lane_too(probe: Probe) -> None:
    probe.publish(A)
    probe.when(A, fails_with(ValueError()))
    probe.drain()
    probe.publish(A, B)
    with unwritable(probe):
        probe.drain()
    assert "cannot be written" in Cursor.objects.get(source=SOURCE, lane=0).stopped
