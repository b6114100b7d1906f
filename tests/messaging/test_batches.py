"""A batch takes effect once, however it is delivered."""

from dataclasses import replace
from threading import Event as Signal
from uuid import uuid4

import pytest

from readmodel.models import Cursor
from shop.messaging.batches import Acknowledgement, Received
from shop.messaging.producer.relay import take_acknowledgement
from tests.harness import Shop, in_background
from tests.messaging.probe import NAME, SOURCE, Probe, in_lane

A, B, C = in_lane(0, 3)


def position(probe: Probe) -> int:
    return Cursor.objects.get(source=SOURCE, lane=0).position


def subscription(lane: int = 0) -> dict:
    from inventory.models import Subscription

    return Subscription.objects.filter(consumer=NAME, lane=lane).values().get()


def test_events_take_effect_in_order_and_the_acknowledgement_moves_both_positions(probe: Probe) -> None:
    probe.publish(A, B, A, C)
    batch = probe.batch()
    batch.deliver()
    assert probe.noted() == [1, 2, 3, 4]
    probe.acknowledgement().deliver()
    known = subscription()
    assert known["acknowledged"] == known["scanned"] == position(probe) == batch.kwargs["through"]
    assert known["batch"] is None


def test_a_batch_delivered_twice_takes_effect_once(probe: Probe) -> None:
    probe.publish(A, B)
    batch = probe.batch()
    batch.deliver()
    batch.deliver()
    assert probe.noted() == [1, 2]
    first, second = probe.acknowledgement(), probe.acknowledgement()
    assert first.kwargs["cursor"] == second.kwargs["cursor"] == batch.kwargs["through"]


def test_a_batch_that_comes_late_changes_nothing(probe: Probe) -> None:
    probe.publish(A, B)
    old = probe.batch()
    old.deliver()
    probe.acknowledgement().deliver()
    probe.publish(A)
    new = probe.batch()
    new.deliver()
    old.deliver()
    assert probe.noted() == [1, 2, 3]
    assert position(probe) == new.kwargs["through"]


def test_of_a_batch_that_overlaps_only_the_rest_takes_effect(probe: Probe) -> None:
    probe.publish(A, B, C)
    batch = probe.batch()
    first = {**batch.kwargs, "events": batch.kwargs["events"][:2], "through": int(batch.kwargs["events"][1]["id"])}
    probe.message(**first).deliver()
    assert probe.noted() == [1, 2]
    batch.deliver()
    assert probe.noted() == [1, 2, 3]


def test_a_batch_that_comes_too_early_is_answered_with_the_cursor_and_takes_no_effect(probe: Probe) -> None:
    probe.publish(A, B, C)
    batch = probe.batch()
    positions = [int(event["id"]) for event in batch.kwargs["events"]]
    early = {**batch.kwargs, "events": batch.kwargs["events"][2:], "after": positions[1]}
    probe.message(**early).deliver()
    assert probe.noted() == []
    assert probe.acknowledgement().kwargs["cursor"] == 0
    batch.deliver()
    assert probe.noted() == [1, 2, 3]


def test_of_two_copies_at_once_one_goes_away(probe: Probe) -> None:
    probe.publish(A, B)
    batch = probe.batch()
    working, go_on = Signal(), Signal()

    def wait(event: Received) -> None:
        working.set()
        assert go_on.wait(10)

    probe.when(B, wait)
    first = in_background(batch.deliver)
    assert working.wait(10)
    batch.deliver()
    assert not [d for d in probe.deliveries.waiting if d.kwargs.get("consumer") == NAME], "the second has no answer"
    go_on.set()
    first.result(10)
    assert probe.noted() == [1, 2]
    probe.acknowledgement()


def test_a_copy_that_is_overtaken_between_its_attempt_and_its_work_goes_away(
    probe: Probe, monkeypatch: pytest.MonkeyPatch
) -> None:
    from shop.messaging import failpoints

    probe.publish(A, B)
    batch = probe.batch()
    overtaking = iter([batch.deliver])

    def overtake(step: failpoints.Failpoint) -> None:
        if step == failpoints.Failpoint.ATTEMPT_RECORDED:
            next(overtaking, lambda: None)()

    monkeypatch.setattr(failpoints, "at_each_failpoint", overtake)
    batch.deliver()
    assert probe.noted() == [1, 2]
    probe.acknowledgement()
    assert Cursor.objects.get(source=SOURCE, lane=0).attempts == 0


def test_a_stale_acknowledgement_moves_nothing(probe: Probe) -> None:
    probe.publish(A)
    batch = probe.batch()
    batch.deliver()
    acknowledgement = probe.acknowledgement()
    acknowledgement.deliver()
    probe.publish(B)
    probe.batch()
    before = subscription()
    acknowledgement.deliver()
    stale = Acknowledgement(source=SOURCE, consumer=NAME, lane=0, batch=str(uuid4()), cursor=0)
    take_acknowledgement(SOURCE, stale)
    take_acknowledgement(SOURCE, replace(stale, consumer="nobody", batch=acknowledgement.kwargs["batch"]))
    take_acknowledgement(SOURCE, replace(stale, lane=1, batch=str(before["batch"])))
    assert subscription() == before


def test_a_gap_rewinds_the_producer(probe: Probe) -> None:
    probe.publish(A, B)
    probe.drain()
    probe.execute("DELETE FROM probe_note; UPDATE readmodel_cursor SET position = 0")
    probe.publish(C)
    probe.drain()
    assert probe.noted() == [1, 2, 3]
    assert subscription()["acknowledged"] == position(probe)


def test_a_gap_in_the_middle_of_a_batch_in_flight_rewinds_too(probe: Probe) -> None:
    probe.publish(A, B)
    probe.drain()
    probe.publish(C)
    batch = probe.batch()
    probe.execute("DELETE FROM probe_note; DELETE FROM readmodel_cursor")
    batch.deliver()
    probe.drain()
    assert probe.noted() == [1, 2, 3]


def test_an_acknowledgement_sends_the_next_batch_at_once(probe: Probe, settings: object) -> None:
    settings.RELAY_EVENTS = 2  # type: ignore[attr-defined]
    probe.publish(A, B, C)
    probe.batch().deliver()
    probe.acknowledgement().deliver()
    [next_one] = [d for d in probe.deliveries.waiting if d.queue == NAME and d.kwargs["events"]]
    next_one.deliver()
    assert probe.noted() == [1, 2, 3]


def test_one_batch_at_the_most_is_in_flight_in_a_lane(probe: Probe, settings: object) -> None:
    settings.RELAY_EVENTS = 1  # type: ignore[attr-defined]
    probe.publish(A, B, C)
    probe.batch()
    with pytest.raises(AssertionError, match="no batch"):
        probe.batch()


def test_a_batch_filtered_by_fewer_types_than_wanted_is_left_alone(probe: Probe) -> None:
    probe.publish(A)
    batch = probe.batch()
    probe.message(**{**batch.kwargs, "types": ["inventory.inventory-locked"], "events": []}).deliver()
    assert {cursor.position for cursor in Cursor.objects.all()} == {0}
    with pytest.raises(AssertionError, match="nothing was acknowledged"):
        probe.acknowledgement()
    probe.message(**{**batch.kwargs, "types": [*batch.kwargs["types"], "inventory.new-kind"]}).deliver()
    assert probe.noted() == [1]


def test_a_batch_with_an_event_of_a_type_that_this_consumer_does_not_know_is_left_alone(probe: Probe) -> None:
    """Its producer knows a newer consumer: passing over the event here would lose it."""
    probe.publish(A, B)
    batch = probe.batch()
    newer = {**batch.kwargs["events"][0], "type": "inventory.new-kind"}
    probe.message(**{**batch.kwargs, "events": [newer, batch.kwargs["events"][1]]}).deliver()
    assert {cursor.position for cursor in Cursor.objects.all()} == {0}
    with pytest.raises(AssertionError, match="nothing was acknowledged"):
        probe.acknowledgement()
    batch.deliver()
    assert probe.noted() == [1, 2]


def test_each_event_travels_as_a_cloud_event_with_its_cause(probe: Probe) -> None:
    probe.publish(A)
    [event] = probe.batch().kwargs["events"]
    assert event["specversion"] == "1.0"
    assert (event["source"], event["type"], event["subject"]) == (SOURCE, "inventory.stock-changed", A)
    assert event["data"] == {"sku": A, "available": 1, "reserved": 0}
    assert event["id"].isdigit()
    assert event["time"].endswith(("Z", "+00:00"))


def test_an_answer_is_recorded_with_the_event_that_caused_it(shop: Shop) -> None:
    from inventory.models import OutboxEvent as Answer
    from orders.models import OutboxEvent as Question

    shop.member()
    shop.sell("phone", stock=2)
    shop.drain()
    first, second = shop.place(("phone", 1)), shop.place(("phone", 1))
    shop.drain()
    for order in (first, second):
        question = Question.objects.get(key=str(order.pk), type="orders.order-created")
        answer = Answer.objects.get(key=str(order.pk))
        assert answer.headers["causation"] == f"orders/{question.position}"
