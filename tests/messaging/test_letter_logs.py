"""What happens to letters and lanes outside the ordinary is logged: one line each, with its fields."""

import logging

import pytest

from readmodel.models import DeadLetter
from shop.messaging.batches import Received
from shop.messaging.consumer.deadletters import discard, resume, retry
from tests.messaging.probe import NAME, SOURCE, Probe, in_lane

KEYS = in_lane(0, 12)
A, B = KEYS[:2]


def poison(event: Received) -> None:
    raise ValueError(f"{event.key} is poisonous")


def logged(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str | None]]:
    """(what, key) of each line about letters and lanes, since the last look."""
    lines = [record.msg for record in caplog.records if isinstance(record.msg, dict)]
    lines = [line for line in lines if line["event"].startswith(("event", "letter", "lane"))]
    for line in lines:
        assert (line["context"], line["consumer"], line["source"], line["lane"]) == (NAME, NAME, SOURCE, 0)
    caplog.clear()
    return [(line["event"], line.get("key")) for line in lines]


def test_parked_retried_and_discarded_letters_are_logged(probe: Probe, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="shop")
    probe.publish(A, B, A, B)
    probe.when(A, poison)
    probe.batch().deliver()
    assert logged(caplog) == [("event parked", A), ("event parked", A)]
    assert retry(NAME, source=SOURCE, key=A) == 0
    assert logged(caplog) == [("letter failed again", A)]
    assert discard(NAME, position=DeadLetter.objects.earliest("position").position, source=SOURCE, by="ada")
    assert logged(caplog) == [("letter discarded", A)]
    probe.when(A, None)
    assert retry(NAME, source=SOURCE, key=A) == 1
    assert logged(caplog) == [("letter applied", A)]


def test_a_lane_that_stops_and_one_that_is_resumed_are_logged(probe: Probe, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="shop")
    probe.publish(*KEYS)
    for key in KEYS:
        probe.when(key, poison)
    probe.batch().deliver()
    assert logged(caplog) == [("event parked", key) for key in KEYS[:10]] + [("lane stopped", None)]
    assert resume(NAME, source=SOURCE, lane=0)
    assert logged(caplog) == [("lane resumed", None)]


def test_a_piece_that_is_rolled_back_logs_nothing_as_parked(probe: Probe, caplog: pytest.LogCaptureFixture) -> None:
    probe.publish(A)
    probe.when(A, poison)
    probe.batch().deliver()
    caplog.clear()
    probe.publish(A, B)
    probe.when(B, poison)
    probe.drain()
    parked = [key for what, key in logged(caplog) if what == "event parked"]
    assert sorted(parked) == sorted([A, B])
