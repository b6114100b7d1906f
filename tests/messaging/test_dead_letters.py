"""A poisonous event parks its key and nothing else; an operator lets it go on in order, or discards it."""

from threading import Event as Signal
from typing import Any

import pytest

from readmodel.models import Cursor, DeadLetter
from shop.messaging.batches import Received
from shop.messaging.consumer.deadletters import discard, resume, retry
from tests.harness import Shop, eventually, in_background, waiting_for_locks
from tests.messaging.probe import NAME, SOURCE, Probe, in_lane

A, B, C = in_lane(0, 3)


def poison(event: Received) -> None:
    raise ValueError(f"{event.key} is poisonous")


def open_letters() -> list[tuple[str, int]]:
    """(key, number) of each, by position."""
    letters = DeadLetter.objects.filter(discarded_at=None).order_by("position")
    return [(letter.key, letter.event["data"]["available"]) for letter in letters]


def cursor() -> Any:
    return Cursor.objects.get(source=SOURCE, lane=0)


# Parking


def test_a_poisonous_event_parks_its_key_in_order_and_nothing_else(probe: Probe) -> None:
    probe.publish(A, B, A, C, B, A, C)
    probe.when(B, lambda event: poison(event) if event.data.available == 2 else None)
    probe.batch().deliver()
    assert probe.noted() == [1, 3, 4, 6, 7]
    assert open_letters() == [(B, 2), (B, 5)]
    first, second = DeadLetter.objects.order_by("position")
    assert "is poisonous" in first.error
    assert "in poison" in first.traceback
    assert first.attempts == 3
    assert (second.attempts, second.traceback) == (0, "")
    assert probe.acknowledgement().kwargs["cursor"] == cursor().position


def test_later_batches_park_behind_a_letter_too(probe: Probe) -> None:
    probe.publish(A, B)
    probe.when(A, poison)
    probe.drain()
    probe.when(A, None)
    probe.publish(A, B, A)
    probe.drain()
    assert probe.noted() == [2, 4]
    assert open_letters() == [(A, 1), (A, 3), (A, 5)]


@pytest.mark.parametrize("place", [1, 2, 37, 64, 99, 100])
def test_the_poisonous_event_is_found_wherever_it_is(probe: Probe, place: int) -> None:
    probe.publish(*(f"key-{number}" for number in range(1, 101)))
    probe.when(f"key-{place}", poison)
    for lane in range(4):
        probe.batch(lane=lane).deliver()
    assert sorted(probe.noted()) == [number for number in range(1, 101) if number != place]
    assert open_letters() == [(f"key-{place}", place)]


def test_several_poisonous_events_of_a_batch_are_all_found(probe: Probe) -> None:
    keys = in_lane(0, 50)
    probe.publish(*keys)
    for number in (1, 2, 25, 49, 50):
        probe.when(keys[number - 1], poison)
    probe.batch().deliver()
    assert probe.noted() == [number for number in range(1, 51) if number not in (1, 2, 25, 49, 50)]
    assert len(open_letters()) == 5


def test_an_event_that_cannot_be_decoded_is_poisonous_as_well(probe: Probe) -> None:
    probe.publish(A, B, C)
    batch = probe.batch()
    batch.kwargs["events"][1]["data"] = {"sku": B}
    batch.deliver()
    assert probe.noted() == [1, 3]
    assert "ValidationError" in DeadLetter.objects.get().error


def test_a_failure_that_no_event_explains_is_raised_and_stops_nothing(probe: Probe) -> None:
    """An empty batch has nothing to halve and nothing to park."""
    unusable = probe.message(after=0, through=7, time="yesterday, or so")
    with pytest.raises(ValueError, match="yesterday"):
        unusable.deliver()
    probe.message(after=0, through=7).deliver()
    assert cursor().position == 7


# Stopping


def test_the_lane_stops_at_the_eleventh_poisonous_event_in_a_row_and_resumes(probe: Probe, shop: Shop) -> None:
    keys = in_lane(0, 14)
    elsewhere = in_lane(1, 1)
    probe.publish(*keys, *elsewhere)
    for key in keys[1:]:
        probe.when(key, poison)
    probe.drain()
    assert sorted(probe.noted()) == [1, 15], "the other lane goes on"
    assert len(open_letters()) == 10
    assert "10 poisonous events in a row" in cursor().stopped
    shop.time_out()
    probe.drain()
    assert len(open_letters()) == 10, "stopped is stopped"
    for key in keys:
        probe.when(key, None)
    assert resume(NAME, source=SOURCE, lane=0)
    shop.time_out()
    probe.drain()
    assert sorted(probe.noted()) == [1, 12, 13, 14, 15]
    assert cursor().stopped == ""
    assert not resume(NAME, source=SOURCE, lane=0)


def test_a_good_event_in_between_means_that_the_code_is_good(probe: Probe) -> None:
    keys = in_lane(0, 30)
    probe.publish(*keys)
    for key in keys[::2]:
        probe.when(key, poison)
    probe.drain()
    assert len(open_letters()) == 15
    assert cursor().stopped == ""


# Retrying


def test_a_retry_resumes_in_order(probe: Probe) -> None:
    probe.publish(A, B, A, A)
    probe.when(A, poison)
    probe.drain()
    probe.when(A, None)
    assert retry(NAME, source=SOURCE, key=A) == 3
    assert probe.noted(A) == [1, 3, 4]
    assert open_letters() == []
    probe.publish(A)
    probe.drain()
    assert probe.noted(A) == [1, 3, 4, 5]


def test_a_retry_stops_at_the_first_failure(probe: Probe) -> None:
    probe.publish(A, A, A)
    probe.when(A, poison)
    probe.drain()
    probe.when(A, lambda event: poison(event) if event.data.available == 2 else None)
    assert retry(NAME, source=SOURCE, key=A) == 1
    assert probe.noted() == [1]
    assert open_letters() == [(A, 2), (A, 3)]
    failed = DeadLetter.objects.earliest("position")
    assert "is poisonous" in failed.error
    assert failed.attempts == 1


def test_a_retry_of_a_key_without_letters_does_nothing(probe: Probe) -> None:
    assert retry(NAME, source=SOURCE, key=A) == 0


def test_a_retry_beside_an_arriving_batch_strands_nothing(probe: Probe, shop: Shop) -> None:
    """The retry holds the lane: the batch goes away, and comes again when the key is free."""
    probe.publish(A)
    probe.when(A, poison)
    probe.drain()
    working, go_on = Signal(), Signal()

    def wait(event: Received) -> None:
        working.set()
        assert go_on.wait(10)

    probe.when(A, wait)
    probe.publish(A)
    arriving = probe.batch()
    retried = in_background(lambda: retry(NAME, source=SOURCE, key=A))
    assert working.wait(10)
    arriving.deliver()
    assert open_letters() == [(A, 1)]
    go_on.set()
    assert retried.result(10) == 1
    shop.time_out()
    probe.drain()
    assert probe.noted() == [1, 2]
    assert open_letters() == []


def test_a_batch_that_is_being_applied_holds_a_retry_up_which_then_finds_what_it_parked(probe: Probe) -> None:
    probe.publish(A)
    probe.when(A, poison)
    probe.drain()
    probe.when(A, None)
    working, go_on = Signal(), Signal()

    def wait(event: Received) -> None:
        working.set()
        assert go_on.wait(10)

    probe.when(B, wait)
    probe.publish(A, B)
    arriving = in_background(probe.batch().deliver)
    assert working.wait(10)
    retried = in_background(lambda: retry(NAME, source=SOURCE, key=A))
    eventually(lambda: waiting_for_locks(NAME) == 1)
    go_on.set()
    arriving.result(10)
    assert retried.result(10) == 2
    assert probe.noted(A) == [1, 2]
    assert open_letters() == []


def test_two_retries_at_once_apply_each_letter_once(probe: Probe) -> None:
    probe.publish(*[A] * 6)
    probe.when(A, poison)
    probe.drain()
    probe.when(A, None)
    retries = [in_background(lambda: retry(NAME, source=SOURCE, key=A)) for _ in range(3)]
    assert sum(future.result(10) for future in retries) == 6
    assert probe.noted() == [1, 2, 3, 4, 5, 6]


def test_a_letter_that_is_discarded_while_its_retry_fails_stays_discarded(probe: Probe) -> None:
    probe.publish(A)
    probe.when(A, poison)
    probe.drain()
    letter = DeadLetter.objects.get()

    def delete_then_fail(event: Received) -> None:
        future = in_background(lambda: discard(NAME, position=letter.position, source=SOURCE))
        eventually(lambda: waiting_for_locks(NAME) == 1)
        discards.append(future)
        raise ValueError("again")

    discards: list[Any] = []
    probe.when(A, delete_then_fail)
    assert retry(NAME, source=SOURCE, key=A) == 0
    assert discards[0].result(10) is True
    assert open_letters() == []


def test_a_letter_that_another_retry_applied_meanwhile_is_not_missed(probe: Probe) -> None:
    probe.publish(A)
    probe.when(A, poison)
    probe.drain()

    def vanish_then_fail(event: Received) -> None:
        in_background(lambda: DeadLetter.objects.all().delete()).result(10)
        raise ValueError("again")

    probe.when(A, vanish_then_fail)
    assert retry(NAME, source=SOURCE, key=A) == 0
    assert open_letters() == []
