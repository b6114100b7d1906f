"""A consumer is sent events again from a position, by ``manage.py replay``."""

import logging
from dataclasses import replace
from io import StringIO
from typing import Any
from uuid import UUID

import pytest
from django.core.management import CommandError, call_command
from django.db import connections, transaction

from inventory.events import InventoryLocked
from inventory.models import Claim, OutboxEvent, StockMovement
from orders.models import Order
from readmodel.models import Cursor
from shop.console.audit import audit
from shop.messaging import consumers
from shop.messaging.consumer.deadletters import resume
from shop.messaging.consumers import Consumer
from shop.messaging.producer.outbox import Entry, append
from tests.harness import Shop, eventually, in_background, waiting_for_locks
from tests.messaging.probe import CONSUMER, NAME, SOURCE, Probe, due_now, in_lane, subscription

A, B = in_lane(0, 2)
(C,) = in_lane(1, 1)


def cursor(lane: int = 0) -> Cursor:
    return Cursor.objects.get(source=SOURCE, lane=lane)


def position_of(number: int) -> int:
    return OutboxEvent.objects.get(data__available=number).position


def replayed(position: int, *options: str) -> str:
    """Run the command for the probe; what it wrote."""
    out = StringIO()
    call_command("replay", NAME, SOURCE, "--from", str(position), *options, stdout=out)
    return out.getvalue()


def test_what_is_after_the_position_is_sent_again_at_once_and_in_order(probe: Probe) -> None:
    probe.publish(A, B, A, C)
    probe.drain()
    said = replayed(position_of(1))
    assert f"{NAME} on {SOURCE}, lane 0: set back from {position_of(3)} to {position_of(1)}" in said
    probe.drain()
    assert probe.noted(A, B) == [1, 2, 3, 2, 3]
    assert probe.noted(C) == [4, 4]
    assert cursor().position == subscription().acknowledged == position_of(3)


def test_one_lane_is_replayed_alone(probe: Probe) -> None:
    probe.publish(A, C)
    probe.drain()
    replayed(0, "--lane", "1")
    probe.drain()
    assert (probe.noted(A), probe.noted(C)) == ([1], [2, 2])


def test_lanes_that_have_not_come_to_the_position_stay_where_they_are(probe: Probe) -> None:
    probe.publish(A, C)
    probe.drain()
    before = cursor(0).position
    replayed(before)
    assert cursor(0).position == before
    assert cursor(1).position == before
    probe.drain()
    assert (probe.noted(A), probe.noted(C)) == ([1], [2, 2])


def test_with_the_broker_away_the_next_empty_batch_does_it(probe: Probe) -> None:
    probe.publish(A)
    probe.drain()
    probe.deliveries.away = True
    replayed(0)
    probe.deliveries.away = False
    probe.drain()
    assert probe.noted() == [1]
    due_now()
    probe.drain()
    assert probe.noted() == [1, 1]


def test_a_batch_in_flight_meanwhile_is_a_gap_and_its_events_come_after_the_replayed_ones(probe: Probe) -> None:
    probe.publish(A)
    probe.drain()
    probe.publish(B)
    batch = probe.batch()
    replayed(0)
    batch.deliver()
    assert probe.noted() == [1]
    probe.drain()
    assert probe.noted() == [1, 1, 2]


def test_an_acknowledgement_from_before_delays_it_and_no_more(probe: Probe) -> None:
    probe.publish(A)
    probe.batch().deliver()
    answer = probe.acknowledgement()
    replayed(0)
    answer.deliver()
    assert subscription().acknowledged == position_of(1)
    probe.drain()
    assert probe.noted() == [1, 1]


def test_a_lane_that_is_worked_on_is_waited_for(probe: Probe) -> None:
    probe.publish(A)
    probe.drain()
    with transaction.atomic(using=NAME):
        Cursor.objects.select_for_update().get(source=SOURCE, lane=0)
        replaying = in_background(lambda: replayed(0))
        eventually(lambda: waiting_for_locks(NAME))
        Cursor.objects.filter(source=SOURCE, lane=0).update(attempts=7)
    replaying.result(10)
    assert (cursor().position, cursor().attempts) == (0, 0)


def test_a_stopped_lane_stays_stopped_and_the_command_says_so(probe: Probe) -> None:
    probe.publish(A)
    probe.drain()
    Cursor.objects.filter(source=SOURCE, lane=0).update(stopped="bad code", poisonous=10)
    assert "goes on when resumed: bad code" in replayed(0)
    probe.drain()
    assert probe.noted() == [1]
    resume(NAME, source=SOURCE, lane=0)
    probe.drain()
    assert probe.noted() == [1, 1]


def test_a_parked_event_stays_a_letter(probe: Probe, shop: Shop) -> None:
    def refuse(event: Any) -> None:
        raise ZeroDivisionError

    probe.when(A, refuse)
    probe.publish(A, B)
    probe.drain()
    replayed(0)
    probe.drain()
    assert probe.noted() == [2, 2]
    assert [letter.key for letter in shop.letters(NAME)] == [A]


def test_who_did_it_and_why_is_logged(probe: Probe, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="shop")
    probe.publish(A)
    probe.drain()
    was = position_of(1)
    replayed(0, "--reason", "a copy was lost")
    lines = [record.msg for record in caplog.records if isinstance(record.msg, dict)]
    (line,) = [line for line in lines if line["event"] == "cursor set back"]
    assert (line["lane"], line["was"], line["position"], line["reason"]) == (0, was, 0, "a copy was lost")
    assert line["by"]


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ((NAME, SOURCE, "--from", str(2**60)), f"{NAME} on {SOURCE} has not come beyond {2**60}: its cursor is at "),
        ((NAME, SOURCE, "--from", "-1"), "-1 is not a position: 0 is before the first event."),
        ((NAME, SOURCE, "--from", "0", "--lane", "9"), "has no such cursor: it has heard nothing yet"),
        ((NAME, "nowhere", "--from", "0"), f"{NAME} does not consume nowhere. Consumers of {NAME}: "),
        (("nobody", SOURCE, "--from", "0"), f"nobody does not consume {SOURCE}. Consumers of nobody: none."),
        ((NAME, SOURCE, "--from", "0", "--consumer", "a"), f"a does not consume {SOURCE}."),
        (("inventory", "orders", "--from", "0", "--consumer", NAME), f"{NAME} is a consumer of {NAME}, not of inv"),
    ],
)
def test_what_cannot_be_replayed_is_refused_and_changes_nothing(
    probe: Probe, arguments: tuple[str, ...], why: str
) -> None:
    probe.publish(A)
    probe.drain()
    before = list(Cursor.objects.values())
    with pytest.raises(CommandError) as refused:
        call_command("replay", *arguments)
    assert why in str(refused.value)
    assert list(Cursor.objects.values()) == before


def test_a_type_that_was_wanted_only_from_some_position_on_gets_its_past(
    probe: Probe, monkeypatch: pytest.MonkeyPatch
) -> None:
    with transaction.atomic(using=SOURCE):
        append(SOURCE, SOURCE, [Entry(A, InventoryLocked(order_id=UUID(int=1)), {})])
    past = OutboxEvent.objects.latest("position").position
    probe.publish(A)
    probe.drain()
    given: list[int] = []
    more: Consumer = replace(
        CONSUMER,
        types=(*sorted((InventoryLocked.wire_name, *CONSUMER.types)),),
        react=lambda batch: given.extend(event.position for event in batch),
    )
    monkeypatch.setitem(consumers._consumers, (NAME, SOURCE), more)
    monkeypatch.setattr("tests.messaging.probe.CONSUMER", more)
    probe.publish(A)
    probe.drain()
    assert past not in given
    assert "messaging.wanted" in audit().broken
    given.clear()
    replayed(0)
    probe.drain()
    assert given == list(OutboxEvent.objects.order_by("position").values_list("position", flat=True))
    assert "messaging.wanted" not in audit().broken


def test_stock_is_the_same_after_the_inventory_heard_all_orders_again(shop: Shop) -> None:
    member = shop.member().pk
    shop.sell("phone", stock=3)
    shop.drain()
    orders = [shop.place(("phone", 1), member_id=member) for _ in range(5)]
    shop.drain()
    shop.cancel(Order.objects.filter(status="confirmed")[0])
    shop.drain()

    def everything() -> list[Any]:
        return [
            shop.stock("phone"),
            list(StockMovement.objects.order_by("id").values()),
            list(Claim.objects.order_by("pk").values()),
            sorted((str(order.pk), shop.order(order).status) for order in orders),
        ]

    before = everything()
    for context, source in (("inventory", "orders"), ("orders", "inventory"), ("readmodel", "orders")):
        call_command("replay", context, source, "--from", "0", verbosity=0)
        assert {row.position for row in shop.cursors() if row.source == source and row.consumer == context} == {0}
        shop.drain()
    assert everything() == before
    assert audit().broken == []


def test_only_the_consumers_database_is_needed(probe: Probe, monkeypatch: pytest.MonkeyPatch) -> None:
    probe.publish(A)
    probe.drain()

    def unreachable() -> None:
        raise AssertionError("the source's database was asked")

    with monkeypatch.context() as patched:
        patched.setattr(connections[SOURCE], "cursor", unreachable)
        assert "set back" in replayed(0)
