"""What fails for no known reason is tried again before it counts as poison, in a batch of one as in a batch of many."""

from collections.abc import Callable

import pytest
from django.db import connections, transaction

from readmodel.models import Cursor, DeadLetter
from shop.messaging.batches import Received
from shop.messaging.consumer import patience, receiving
from shop.messaging.retry import Retry
from tests.harness import in_background
from tests.messaging.probe import NAME, SOURCE, Probe, in_lane

A, B, C, D = in_lane(0, 4)

PATIENT = ("58030", "XX000", "42P01", "42703", "23505", "P0001")


class Failing:
    """A rule that fails some times, then no more."""

    def __init__(self, times: int, fail: Callable[[Received], object]) -> None:
        self.times, self.fail, self.tries = times, fail, 0

    def __call__(self, event: Received) -> None:
        self.tries += 1
        if self.tries <= self.times:
            self.fail(event)


def divide(event: Received) -> object:
    return 1 / 0


def ask_for_retry(event: Received) -> None:
    raise Retry("not now")


def raises(state: str) -> Callable[[Received], None]:
    """A rule that has PostgreSQL itself raise an SQLSTATE."""

    def rule(event: Received) -> None:
        with connections[NAME].cursor() as cursor:
            cursor.execute(f"DO $$ BEGIN RAISE EXCEPTION 'told to' USING ERRCODE = '{state}'; END $$")

    return rule


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The real pauses, written down and not waited for."""
    taken: list[float] = []
    monkeypatch.setattr(patience, "PAUSES", (0.2, 1.0))
    monkeypatch.setattr(patience, "sleep", taken.append)
    return taken


@pytest.mark.parametrize("state", PATIENT)
@pytest.mark.parametrize("keys", [(A,), (B, A)], ids=["batch of one", "batch of two"])
def test_a_failure_that_has_passed_at_the_second_try_parks_nothing(
    probe: Probe, monkeypatch: pytest.MonkeyPatch, keys: tuple[str, ...], state: str
) -> None:
    monkeypatch.setattr(receiving, "PAUSE", 0)
    probe.publish(*keys)
    probe.when(A, Failing(1, raises(state)))
    probe.batch().deliver()
    assert probe.noted() == list(range(1, len(keys) + 1))
    assert not DeadLetter.objects.exists()


def test_a_failure_that_has_passed_at_the_third_try_alone_parks_nothing(probe: Probe) -> None:
    probe.publish(A)
    probe.when(A, Failing(2, divide))
    probe.batch().deliver()
    assert probe.noted() == [1]
    assert not DeadLetter.objects.exists()


def test_an_event_alone_is_parked_after_exactly_three_tries(probe: Probe) -> None:
    rule = Failing(99, divide)
    probe.publish(A)
    probe.when(A, rule)
    probe.batch().deliver()
    assert rule.tries == 3
    assert DeadLetter.objects.get().attempts == 3


def test_an_event_among_others_gets_its_three_tries_alone_and_the_others_none_more(probe: Probe) -> None:
    rule, fine = Failing(99, divide), Failing(0, divide)
    probe.publish(B, C, A, D)
    probe.when(A, rule)
    probe.when(D, fine)
    probe.batch().deliver()
    assert rule.tries == 2 + 3, "whole, halved, then alone"
    assert fine.tries == 1
    assert DeadLetter.objects.get().key == A
    assert probe.noted() == [1, 2, 4]


def test_nothing_is_locked_during_a_pause(probe: Probe, pauses: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    def look(seconds: float) -> None:
        pauses.append(seconds)
        in_background(lock_the_cursor).result(10)

    def lock_the_cursor() -> None:
        with transaction.atomic(using=NAME):
            Cursor.objects.select_for_update(nowait=True).get(source=SOURCE, lane=0)

    monkeypatch.setattr(patience, "sleep", look)
    probe.publish(A)
    probe.when(A, Failing(2, divide))
    probe.batch().deliver()
    assert [0.16 <= pauses[0] <= 0.24, 0.8 <= pauses[1] <= 1.2] == [True, True]
    assert probe.noted() == [1]


def test_a_batch_full_of_poison_pauses_for_seconds_in_all(probe: Probe, pauses: list[float]) -> None:
    keys = in_lane(0, 60)
    probe.publish(*keys)
    for key in keys[::2]:
        probe.when(key, divide)
    probe.batch().deliver()
    assert DeadLetter.objects.count() == 30
    assert sum(pauses) == pytest.approx(patience.LIMIT)


def test_a_lane_that_stops_had_patience_with_each_event(probe: Probe, pauses: list[float]) -> None:
    keys = in_lane(0, 12)
    probe.publish(*keys)
    for key in keys:
        probe.when(key, divide)
    probe.batch().deliver()
    assert Cursor.objects.get(source=SOURCE, lane=0).stopped
    assert len(pauses) == 22
    assert sum(pauses) < patience.LIMIT


def test_a_copy_that_parks_the_event_meanwhile_ends_the_patience_of_the_other(
    probe: Probe, pauses: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    probe.publish(A, B)
    probe.when(A, divide)
    batch = probe.batch()

    def overtake(seconds: float) -> None:
        monkeypatch.setattr(patience, "sleep", pauses.append)
        in_background(batch.deliver).result(10)

    monkeypatch.setattr(patience, "sleep", overtake)
    batch.deliver()
    assert [letter.key for letter in DeadLetter.objects.all()] == [A]
    assert probe.noted() == [2]


def test_a_reaction_that_asks_for_a_retry_parks_nothing_however_often(
    probe: Probe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(receiving, "PAUSE", 0)
    probe.publish(A, B)
    probe.when(B, ask_for_retry)
    batch = probe.batch()
    for _ in range(5):
        with pytest.raises(Retry):
            batch.deliver()
    assert probe.noted() == []
    assert not DeadLetter.objects.exists()
    with pytest.raises(AssertionError, match="nothing was acknowledged"):
        probe.acknowledgement()
    probe.when(B, Failing(1, ask_for_retry))
    batch.deliver()
    assert probe.noted() == [1, 2]
