"""An operator's retry: noted before it begins, done by a worker, once, and the row tells what came of it."""

import os
from dataclasses import replace
from typing import Any

import pytest
from django.db import connections

from readmodel.models import Cursor, DeadLetter, LetterRetry
from shop.messaging import consumers
from shop.messaging.batches import Received
from shop.messaging.consumer import retries
from shop.messaging.consumer.deadletters import discard
from shop.messaging.retry import Retry
from tests.harness import Delivery, eventually, in_background, waiting_for_locks
from tests.messaging.probe import CONSUMER, NAME, SOURCE, Probe, in_lane

A, B = in_lane(0, 2)


def poison(event: Received) -> None:
    raise ValueError(f"{event.key} is poisonous")


def ask(*keys: str) -> Any:
    """What the admin does."""
    row = retries.request(NAME, source=SOURCE, keys=keys, by="ada")
    retries.call_worker(NAME, source=SOURCE)
    return row


def outcome() -> dict[str, Any]:
    fields = ("done", "applied", "left", "error", "position")
    return LetterRetry.objects.values(*fields).latest("id")


def open_keys() -> list[str]:
    return list(DeadLetter.objects.filter(discarded_at=None).order_by("position").values_list("key", flat=True))


@pytest.fixture
def parked(probe: Probe) -> Probe:
    """Two letters of A and one of B."""
    probe.publish(A, B, A)
    for key in (A, B):
        probe.when(key, poison)
    probe.drain()
    for key in (A, B):
        probe.when(key, None)
    assert open_keys() == [A, B, A]
    return probe


def test_nothing_is_applied_until_a_worker_takes_the_request(parked: Probe) -> None:
    ask(A)
    (delivery,) = parked.deliveries.waiting
    assert (delivery.task, delivery.queue) == ("shop.messaging.tasks.retry_letters", NAME)
    assert open_keys() == [A, B, A]
    parked.deliveries.run()
    assert parked.noted() == [1, 3]
    assert open_keys() == [B]
    ended = LetterRetry.objects.get()
    assert ended.requested_by == "ada"
    assert ended.requested_at <= ended.began_at <= ended.ended_at
    assert (ended.applied, ended.left, ended.error) == (2, 0, "")


def test_what_fails_again_ends_the_request_and_is_named(parked: Probe) -> None:
    second = DeadLetter.objects.filter(key=A).latest("position").position
    parked.when(A, lambda event: poison(event) if event.data.available == 3 else None)
    ask(A)
    parked.deliveries.run()
    assert parked.noted() == [1]
    assert open_keys() == [B, A]
    error = f"#{second}: ValueError('{A} is poisonous')"
    assert outcome() == {"done": 0, "applied": 1, "left": 1, "error": error, "position": second}


def test_an_attempt_is_committed_before_it_begins(parked: Probe) -> None:
    seen: list[Any] = []

    def look(event: Received) -> None:
        seen.append(in_background(LetterRetry.objects.get).result(10))

    parked.when(A, look)
    positions = list(DeadLetter.objects.filter(key=A).order_by("position").values_list("position", flat=True))
    ask(A)
    parked.deliveries.run()
    assert [row.position for row in seen] == positions
    assert all(row.began_at is not None and row.ended_at is None for row in seen)


def dies(delivery: Delivery) -> bool:
    """Deliver in a process of its own; whether it is killed."""
    connections.close_all()
    pid = os.fork()
    if pid == 0:
        try:
            delivery.deliver()
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 9


def test_a_letter_that_kills_its_worker_is_tried_once_for_each_request(parked: Probe) -> None:
    parked.when(A, lambda event: os._exit(9))
    asked = ask(A)
    (delivery,) = parked.deliveries.waiting
    parked.deliveries.waiting.clear()
    assert dies(delivery)
    assert not dies(delivery), "the broker brings it again, and it is left alone"
    asked.refresh_from_db()
    assert asked.began_at is not None
    assert asked.ended_at is None
    assert asked.position == DeadLetter.objects.filter(key=A).earliest("position").position
    assert open_keys() == [A, B, A]
    ask(B)
    parked.deliveries.run()
    assert parked.noted() == [2], "other requests are not held up by it"
    ask(A)
    parked.when(A, None)
    parked.deliveries.run()
    assert parked.noted() == [2, 1, 3]


def test_a_request_is_kept_while_the_broker_is_away_and_taken_at_the_next_look(parked: Probe) -> None:
    parked.deliveries.away = True
    retries.request(NAME, source=SOURCE, keys=[A], by="ada")
    assert not retries.call_worker(NAME, source=SOURCE)
    parked.deliveries.away = False
    Delivery("shop.messaging.tasks.retry_letters", NAME, {"context": NAME}).deliver()
    assert parked.noted() == [1, 3]


def test_a_look_without_a_request_does_nothing_and_calls_for_nothing(parked: Probe) -> None:
    Delivery("shop.messaging.tasks.retry_letters", NAME, {"context": NAME}).deliver()
    assert parked.deliveries.waiting == []
    assert open_keys() == [A, B, A]


def test_a_request_is_taken_by_one_of_two_workers(parked: Probe) -> None:
    ask(A)
    connection = connections[NAME].copy()
    connection.set_autocommit(False)
    with connection.cursor() as cursor:
        cursor.execute("SELECT FROM readmodel_cursor WHERE source = %s FOR UPDATE", [SOURCE])
    try:
        first = in_background(lambda: retries.run_step(NAME))
        eventually(lambda: waiting_for_locks(NAME) == 1)
        assert retries.run_step(NAME) is None
    finally:
        connection.rollback()
        connection.close()
    assert first.result(10) == (NAME, SOURCE, 2)
    assert parked.noted() == [1, 3]


def test_a_moment_that_is_bad_three_times_ends_the_request_and_leaves_the_letters_as_they_are(parked: Probe) -> None:
    before = list(DeadLetter.objects.order_by("position").values())

    def wait(event: Received) -> None:
        raise Retry("not now")

    parked.when(A, wait)
    ask(A)
    parked.deliveries.run()
    assert list(DeadLetter.objects.order_by("position").values()) == before
    assert "not now" in outcome()["error"]
    assert outcome()["left"] == 2


def test_a_moment_that_passes_is_waited_for(parked: Probe) -> None:
    failures = iter([1])

    def wait_once(event: Received) -> None:
        for _ in failures:
            with connections[NAME].cursor() as cursor:
                cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")

    parked.when(A, wait_once)
    ask(A)
    parked.deliveries.run()
    assert parked.noted() == [1, 3]


def test_the_letters_of_a_reaction_with_a_name_of_its_own_are_retried_and_discarded(
    parked: Probe, monkeypatch: pytest.MonkeyPatch
) -> None:
    named = replace(CONSUMER, reaction="named")
    monkeypatch.setitem(consumers._consumers, (named.name, SOURCE), named)
    DeadLetter.objects.update(consumer=named.name)
    Cursor.objects.filter(source=SOURCE).update(consumer=named.name)
    retries.request(NAME, source=SOURCE, keys=[A], by="ada", consumer=named.name)
    assert retries.call_worker(NAME, source=SOURCE, consumer=named.name)
    parked.deliveries.run()
    assert parked.noted() == [1, 3]
    assert discard(NAME, position=DeadLetter.objects.get().position, source=SOURCE, consumer=named.name)
    assert open_keys() == []


# A group, as a canary


@pytest.fixture
def group(probe: Probe) -> list[str]:
    """The keys of 40 letters."""
    keys = in_lane(0, 80)
    probe.publish(*keys)
    for key in keys[::2]:
        probe.when(key, poison)
    probe.drain()
    for key in keys[::2]:
        probe.when(key, None)
    probe.execute("DELETE FROM probe_note")
    return keys[::2]


def test_a_group_is_retried_in_growing_steps(probe: Probe, group: list[str]) -> None:
    ask(*group)
    sizes, before = [], 0
    while probe.deliveries.waiting:
        probe.deliveries.next().deliver()
        sizes.append(len(probe.noted()) - before)
        before += sizes[-1]
    assert sizes == [1, 2, 5, 10, 20, 2, 0]
    assert outcome() | {"position": None} == {"done": 40, "applied": 40, "left": 0, "error": "", "position": None}
    assert probe.noted() == sorted(probe.noted())


def test_a_group_stops_at_the_first_key_that_fails_again(probe: Probe, group: list[str]) -> None:
    probe.when(group[4], poison)
    ask(*group)
    probe.deliveries.run()
    assert len(probe.noted()) == 4
    assert open_keys() == group[4:]
    assert (outcome()["done"], outcome()["left"]) == (4, 36)


def test_a_group_whose_message_is_lost_between_two_steps_goes_on_at_the_next_look(
    probe: Probe, group: list[str]
) -> None:
    ask(*group)
    probe.deliveries.next().deliver()
    probe.deliveries.waiting.clear()
    assert len(probe.noted()) == 1
    Delivery("shop.messaging.tasks.retry_letters", NAME, {"context": NAME}).deliver()
    probe.deliveries.run()
    assert len(probe.noted()) == 40
    assert Cursor.objects.get(source=SOURCE, lane=0).stopped == ""
