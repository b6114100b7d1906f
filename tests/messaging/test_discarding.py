"""A letter that an operator gave up never takes effect, whatever comes again."""

from django.db import connections

from readmodel.models import Cursor, DeadLetter
from shop.messaging.batches import Received
from shop.messaging.consumer.deadletters import discard, retry
from tests.harness import Shop
from tests.messaging.probe import NAME, SOURCE, Probe, in_lane

A, B = in_lane(0, 2)


def poison(event: Received) -> None:
    raise ValueError(f"{event.key} is poisonous")


def open_letters() -> list[tuple[str, int]]:
    """(key, number) of each, by position."""
    letters = DeadLetter.objects.filter(discarded_at=None).order_by("position")
    return [(letter.key, letter.event["data"]["available"]) for letter in letters]


def set_back(position: int = 0) -> None:
    Cursor.objects.filter(source=SOURCE, lane=0).update(position=position)


def test_discarding_the_only_letter_frees_its_key(probe: Probe) -> None:
    probe.publish(A)
    probe.when(A, poison)
    probe.drain()
    probe.when(A, None)
    letter = DeadLetter.objects.get()
    assert discard(NAME, position=letter.position, source=SOURCE)
    assert not discard(NAME, position=letter.position, source=SOURCE)
    assert not discard(NAME, position=letter.position + 1, source=SOURCE)
    probe.publish(A)
    probe.drain()
    assert probe.noted() == [2]


def test_discarding_the_first_letter_lets_a_retry_go_on_with_the_rest(probe: Probe) -> None:
    probe.publish(A, A, A)
    probe.when(A, lambda event: poison(event) if event.data.available == 1 else None)
    probe.drain()
    assert retry(NAME, source=SOURCE, key=A) == 0
    assert discard(NAME, position=DeadLetter.objects.earliest("position").position, source=SOURCE)
    assert retry(NAME, source=SOURCE, key=A) == 2
    assert probe.noted() == [2, 3]


# A cursor that was set back


def test_a_cursor_set_back_over_a_letter_leaves_the_letter_as_it_is(probe: Probe, shop: Shop) -> None:
    probe.publish(A, A)
    probe.when(A, poison)
    probe.drain()
    before = list(DeadLetter.objects.order_by("position").values())
    probe.when(A, None)
    set_back()
    shop.time_out()
    probe.drain()
    assert probe.noted() == []
    assert list(DeadLetter.objects.order_by("position").values()) == before
    assert retry(NAME, source=SOURCE, key=A) == 2
    assert probe.noted() == [1, 2]


def test_a_cursor_set_back_over_a_discarded_event_does_not_revive_it(probe: Probe, shop: Shop) -> None:
    probe.publish(A, B, A)
    probe.when(A, lambda event: poison(event) if event.data.available == 1 else None)
    probe.drain()
    assert discard(NAME, position=DeadLetter.objects.earliest("position").position, source=SOURCE)
    assert retry(NAME, source=SOURCE, key=A) == 1
    probe.execute("DELETE FROM probe_note")
    probe.when(A, None)
    set_back()
    shop.time_out()
    probe.drain()
    assert probe.noted() == [2, 3], "the discarded one never takes effect"
    assert open_letters() == []


def test_a_discarded_event_that_comes_again_behind_an_open_letter_stays_discarded(probe: Probe, shop: Shop) -> None:
    probe.publish(A, A, A)
    probe.when(A, poison)
    probe.drain()
    _, second, _ = DeadLetter.objects.order_by("position")
    assert discard(NAME, position=second.position, source=SOURCE)
    set_back()
    shop.time_out()
    probe.drain()
    assert open_letters() == [(A, 1), (A, 3)]
    with connections[NAME].cursor() as sql:
        sql.execute("SELECT count(*) FROM readmodel_deadletter WHERE discarded_at IS NOT NULL")
        assert sql.fetchone() == (1,)
