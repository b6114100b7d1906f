"""What was not acknowledged is sent again: the same, and ever more rarely."""

from dataclasses import replace
from typing import Any

import pytest
from django.utils import timezone

from shop.messaging import broker, consumers
from shop.messaging.producer.relay import relay
from tests.harness import Shop
from tests.messaging import probe as probes
from tests.messaging.probe import NAME, SOURCE, Probe, append_unwanted, due_now, in_lane, subscription

A, B, C = in_lane(0, 3)


def test_a_batch_is_not_sent_again_before_its_time_out(probe: Probe) -> None:
    probe.publish(A)
    probe.batch()
    assert relay(SOURCE) == 0


def test_a_batch_is_sent_again_under_its_id_with_growing_pauses(probe: Probe, settings: Any) -> None:
    probe.publish(A)
    sent = probe.batch()
    pauses = []
    for _ in range(6):
        before = timezone.now()
        due_now()
        again = probe.batch()
        assert {**again.kwargs, "time": None} == {**sent.kwargs, "time": None}
        pauses.append(round((subscription().due_at - before).total_seconds()))
    assert pauses == [10, 20, 40, 60, 60, 60]
    assert subscription().tries == 7


def test_after_an_acknowledgement_pauses_begin_anew(probe: Probe, settings: Any) -> None:
    probe.publish(A)
    probe.batch()
    due_now()
    probe.batch().deliver()
    probe.acknowledgement().deliver()
    probe.publish(B)
    probe.batch()
    assert subscription().tries == 1
    assert subscription().due_at <= timezone.now() + settings.RELAY_RESEND_AFTER


def test_what_is_appended_meanwhile_does_not_slip_into_a_resend(probe: Probe) -> None:
    probe.publish(A)
    sent = probe.batch()
    probe.publish(B)
    due_now()
    again = probe.batch()
    assert again.kwargs["events"] == sent.kwargs["events"]


def test_a_batch_that_could_not_be_sent_is_sent_when_its_time_out_comes(probe: Probe, shop: Shop) -> None:
    probe.publish(A)
    shop.deliveries.away = True
    with pytest.raises(broker.OperationalError):
        relay(SOURCE)
    shop.deliveries.away = False
    due_now()
    probe.drain()
    assert probe.noted() == [1]


def test_a_resend_by_a_relay_that_knows_more_types_brings_those_whole(
    probe: Probe, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bytes of the types that it adds are not held against the bound: ``through`` covers them already."""
    settings.RELAY_BYTES = 1
    narrow = replace(probes.CONSUMER, types=("inventory.unwanted",))
    probe.publish(A, B, C)
    append_unwanted(1)
    monkeypatch.setitem(consumers._consumers, (NAME, SOURCE), narrow)
    probe.batch().deliver()  # left alone: filtered by other types than are wanted
    assert probe.noted() == []
    monkeypatch.setitem(consumers._consumers, (NAME, SOURCE), probes.CONSUMER)
    due_now()
    probe.drain()
    assert probe.noted() == [1, 2, 3]
