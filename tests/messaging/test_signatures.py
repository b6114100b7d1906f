"""Who can write to the broker and has no key changes nothing: what is not signed as it has to be is left alone."""

import json
import logging
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from celery import current_app

from inventory.models import OutboxEvent, Subscription
from orders.models import ProductCopy
from readmodel.models import Cursor
from shop.console.audit import audit
from shop.messaging import broker, signing
from shop.messaging.batches import BatchMessage
from shop.messaging.producer.fence import present
from shop.messaging.serializer import dumps, loads
from tests.harness import Delivery, Shop
from tests.messaging.probe import CONSUMER, NAME, SOURCE, Probe, due_now, in_lane, subscription

A, B = in_lane(0, 2)
KEY = "a key of 32 characters, or more: 1234"


def state(shop: Shop) -> list[Any]:
    """What a forged message could spoil."""
    tables = (Cursor, Subscription)
    return [*(list(table.objects.order_by("pk").values()) for table in tables), list(shop.letters(NAME))]


@pytest.fixture
def signed(settings: Any) -> Any:
    """Messages are signed, and have to be."""
    settings.MESSAGE_KEYS, settings.MESSAGE_SIGNATURES = [KEY], "require"
    return settings


def refused(caplog: pytest.LogCaptureFixture) -> list[Any]:
    """The log lines on messages that were refused, taken out."""
    lines = [record.msg for record in caplog.records if record.msg["event"] == "message refused"]
    assert all(record.levelno == logging.ERROR for record in caplog.records if record.msg in lines)
    caplog.clear()
    return lines


# What is signed, travels


def test_signed_messages_are_taken_and_every_order_is_decided(shop: Shop, signed: Any) -> None:
    member = shop.member("阿达").pk
    shop.sell("phone", stock=3, description="手机 \u2028 é \x7f")
    shop.drain()
    orders = [shop.place(("phone", 2), member_id=member) for _ in range(2)]
    shop.drain()
    assert sorted(shop.order(order).status for order in orders) == ["cancelled", "confirmed"]
    assert all(cursor.position for cursor in shop.cursors() if cursor.fresh_at and cursor.last_event)


EXTREMES = [
    1,
    -1,
    2**64,
    -(10**40),
    0.1 + 0.2,
    1e16,
    1.0,
    -0.0,
    5e-324,
    1e308,
    "手机\u2028\x00\x7f",
    "",
    None,
    True,
    [],
    {},
]


def test_a_signature_survives_json_whatever_the_values_are(signed: Any) -> None:
    message = {
        "events": [{"id": "1", "data": {"extreme": EXTREMES, "b": 1, "a": {"z": 1, "y": 2}}}],
        "pairs": ((1, 2),),
    }
    sent = message | signing.signature_of("task", message)
    assert signing.is_trusted("task", loads(dumps(sent)))
    assert signing.is_trusted("task", json.loads(json.dumps(sent)))
    assert signing.is_trusted("task", json.loads(json.dumps(sent, sort_keys=True, indent=1)))


@pytest.mark.parametrize(
    ("sent", "came"),
    [
        (None, float("nan")),
        (None, float("inf")),
        (1, True),
        (1, 1.0),
        (1, "1"),
        (0.0, -0.0),
        ("é", "e\u0301"),
        ({}, []),
    ],
    ids=repr,
)
def test_no_value_passes_for_another(signed: Any, sent: object, came: object) -> None:
    signature = signing.signature_of("task", {"field": sent})
    assert signing.is_trusted("task", {"field": sent} | signature)
    assert not signing.is_trusted("task", {"field": came} | signature)


def test_fields_that_this_release_does_not_know_are_covered_too(probe: Probe, signed: Any) -> None:
    probe.publish(A)
    batch = probe.batch()
    del batch.kwargs[signing.SIGNATURE]
    newer = batch.kwargs | {"added": {"by": "a newer release"}}
    signature = signing.signature_of(batch.task, newer)
    probe.message(**newer | {"added": {"by": "a stranger"}} | signature).deliver()
    assert probe.noted() == []
    probe.message(**newer | signature).deliver()
    assert probe.noted() == [1]


def test_a_release_that_knows_no_signatures_finds_nothing_new_in_the_arguments(
    signed: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: dict[str, Any] = {}
    monkeypatch.setattr(current_app, "send_task", lambda task, **options: sent.update(options))
    broker.send(broker.SUBSCRIBE, "inventory.relay", extensions={"later": 1}, source=SOURCE)
    assert sent["kwargs"] == {"source": SOURCE}
    assert sent["headers"]["extensions"].keys() == {"later", signing.SIGNATURE}


# What is not


def unsigned(message: dict[str, Any]) -> None:
    del message[signing.SIGNATURE]


def altered(**fields: Any) -> Callable[[dict[str, Any]], None]:
    return lambda message: message.update(fields)


BATCHES = [
    unsigned,
    altered(signature=None),
    altered(signature=""),
    altered(signature=5),
    altered(signature="1:é"),
    altered(signature=["1:"]),
    altered(through=2**62),
    altered(events=[]),
    altered(generation=2),
    altered(outbox=str(uuid4())),
    altered(epoch=1),
    altered(lane=1),
    altered(id=str(uuid4())),
    altered(unknown="field"),
    altered(deep=eval("[" * 90 + "]" * 90)),
]


@pytest.mark.parametrize("forge", BATCHES, ids=range(len(BATCHES)))
def test_a_batch_that_is_not_signed_as_it_came_changes_nothing(
    probe: Probe, shop: Shop, signed: Any, caplog: pytest.LogCaptureFixture, forge: Callable[[dict[str, Any]], None]
) -> None:
    probe.publish(A)
    probe.drain()
    probe.publish(B)
    batch, before = probe.batch(), state(shop)
    genuine = Delivery(batch.task, batch.queue, dict(batch.kwargs))
    probe.deliveries.waiting.clear()
    forge(batch.kwargs)
    batch.deliver()
    assert (state(shop), probe.noted(), probe.deliveries.waiting) == (before, [1], [])
    [line] = refused(caplog)
    assert line["task"] == CONSUMER.task
    genuine.deliver()
    assert probe.noted() == [1, 2]


def test_an_event_that_was_altered_on_its_way_has_no_effect(shop: Shop, signed: Any) -> None:
    shop.sell("phone", price=100)
    shop.scan("catalogue")
    [price] = [d for d in shop.deliveries.take("orders", source="catalogue") if d.kwargs["events"]]
    price.kwargs["events"][0]["data"]["price"] = 0
    price.deliver()
    assert not ProductCopy.objects.exists()
    shop.time_out("catalogue")
    shop.drain()
    assert ProductCopy.objects.get().price == 100


ANSWERS = [
    unsigned,
    altered(cursor=2**62),
    altered(cursor=0),
    altered(refused="nonsense"),
    altered(gone=True),
    altered(lane=1),
    altered(consumer="orders"),
]


@pytest.mark.parametrize("forge", ANSWERS, ids=range(len(ANSWERS)))
def test_an_acknowledgement_that_is_not_signed_as_it_came_changes_nothing(
    probe: Probe, shop: Shop, signed: Any, caplog: pytest.LogCaptureFixture, forge: Callable[[dict[str, Any]], None]
) -> None:
    probe.publish(A)
    batch = probe.batch()
    batch.deliver()
    answer, before = probe.acknowledgement(), state(shop)
    genuine = Delivery(answer.task, answer.queue, dict(answer.kwargs))
    forge(answer.kwargs)
    answer.deliver()
    assert state(shop) == before
    assert [line["task"] for line in refused(caplog)] == [broker.ACKNOWLEDGE]
    genuine.deliver()
    assert subscription().acknowledged == batch.kwargs["through"]


def test_a_signed_message_is_for_one_recipient_and_one_deployment(probe: Probe, signed: Any) -> None:
    probe.publish(A)
    message = probe.batch().kwargs
    assert signing.is_trusted(CONSUMER.task, message)
    assert not signing.is_trusted("orders.tasks.settle_orders", message)
    signed.QUEUE_PREFIX = "staging-"
    assert not signing.is_trusted(CONSUMER.task, message)


def test_a_request_to_subscribe_is_signed_as_well(probe: Probe, signed: Any) -> None:
    present(SOURCE)
    request = {"source": SOURCE, "consumer": NAME, "generation": 2}
    Delivery(broker.SUBSCRIBE, "inventory.relay", request).deliver()
    assert not Subscription.objects.filter(generation=2).exists()
    Delivery(broker.SUBSCRIBE, "inventory.relay", request | signing.signature_of(broker.SUBSCRIBE, request)).deliver()
    assert Subscription.objects.filter(generation=2).exists()


def test_an_old_signed_message_that_comes_again_changes_nothing(probe: Probe, shop: Shop, signed: Any) -> None:
    probe.publish(A)
    batch = probe.batch()
    batch.deliver()
    answer = probe.acknowledgement()
    answer.deliver()
    probe.publish(B)
    probe.drain()
    before = state(shop)
    batch.deliver()
    answer.deliver()
    assert (state(shop), probe.noted()) == (before, [1, 2])


# A cursor where no event is


def forged(probe: Probe) -> Delivery:
    """An empty batch that would move the cursor beyond everything, from the outbox that the cursor follows."""
    identity, cursor = present(SOURCE).identity, Cursor.objects.get(source=SOURCE, lane=0)
    return probe.message(after=cursor.position, through=2**62, outbox=str(identity.outbox), epoch=identity.epoch)


def test_a_forged_empty_batch_moves_nothing_where_signatures_are_required(
    probe: Probe, shop: Shop, signed: Any
) -> None:
    probe.publish(A)
    probe.drain()
    before = state(shop)
    forged(probe).deliver()
    assert state(shop) == before


@pytest.mark.parametrize("believed", [False, True], ids=["the producer knows better", "its row was spoilt as well"])
def test_an_answer_beyond_the_logs_head_stops_the_lane_where_nothing_is_signed(probe: Probe, believed: bool) -> None:
    probe.publish(A)
    probe.drain()
    forged(probe).deliver()
    if believed:
        Subscription.objects.filter(consumer=NAME, lane=0).update(acknowledged=2**62, scanned=2**62, furthest=2**62)
    assert "messaging.positions" in audit().broken, "nothing is green meanwhile"
    probe.publish(B)
    due_now()
    probe.drain()
    stopped = subscription().stopped
    assert f"the log ends at {OutboxEvent.objects.latest('position').position}" in stopped
    assert str(2**62) in stopped


def test_a_batch_of_the_relay_reads_the_same_with_its_signature(probe: Probe, signed: Any) -> None:
    probe.publish(A)
    message = probe.batch().kwargs
    assert message[signing.SIGNATURE].startswith(signing.VERSION)
    assert BatchMessage.read(message) == BatchMessage.read({k: v for k, v in message.items() if k != signing.SIGNATURE})
