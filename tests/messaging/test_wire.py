"""What release 1.0.0 sent, as it sent it, is understood for good; what a newer release adds is ignored.

The fixture was recorded from the running release: each event type, each reason, a batch and its acknowledgement.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
import pytest

from inventory.models import Claim, Cursor, DeadLetter
from orders.events import OrderCancelled, UnknownReason, read_reason
from orders.models import Subscription
from shop.messaging.batches import Batch
from shop.messaging.events import event_types
from shop.messaging.producer.relay import relay
from tests.harness import Delivery, Shop

WIRE: dict[str, Any] = json.loads((Path(__file__).parent / "wire" / "1.0.0.json").read_text())

EVENTS = [
    pytest.param(event, id=":".join(filter(None, (event["type"], event["data"].get("reason", {}).get("code")))))
    for event in WIRE["events"]
]

NEWS = {"added": "by a newer release", "besides": [{"more": 1}]}


def with_news(value: Any) -> Any:
    """The same JSON, with fields that nobody knows in each of its objects."""
    if isinstance(value, dict):
        return {name: with_news(inner) for name, inner in value.items()} | NEWS
    return [with_news(inner) for inner in value] if isinstance(value, list) else value


def test_every_event_type_of_the_release_is_in_the_fixture() -> None:
    recorded = {event["type"] for event in WIRE["events"]}
    assert recorded <= {kind.wire_name for kind in event_types()}, "a wire name is permanent"
    assert len(recorded) == 12


@pytest.mark.parametrize("event", EVENTS)
def test_an_event_of_the_release_is_read_as_it_was_recorded(event: dict[str, Any]) -> None:
    (received,) = Batch([event])
    assert (received.position, received.key) == (int(event["id"]), event["subject"])
    read = json.loads(msgspec.json.encode(received.data))
    assert read.items() >= event["data"].items(), "fields that came later have what they stood for without them"
    if isinstance(received.data, OrderCancelled):
        assert not isinstance(read_reason(received.data.reason), UnknownReason)


@pytest.mark.parametrize("event", EVENTS)
def test_an_event_with_fields_that_nobody_knows_is_read_as_without_them(event: dict[str, Any]) -> None:
    (plain,), (newer,) = Batch([event]), Batch([with_news(event)])
    if isinstance(plain.data, OrderCancelled):
        assert isinstance(newer.data, OrderCancelled)
        assert read_reason(newer.data.reason) == read_reason(plain.data.reason)
        assert newer.data == msgspec.structs.replace(plain.data, reason=newer.data.reason)
    else:
        assert newer == plain


AS_IT_WAS_SENT_OR_NEWER = pytest.mark.parametrize(
    "travels", [lambda kwargs: kwargs, with_news], ids=["as it was sent", "with fields that nobody knows"]
)


@AS_IT_WAS_SENT_OR_NEWER
def test_a_batch_of_the_release_is_applied_and_acknowledged(shop: Shop, travels: Callable[[Any], Any]) -> None:
    for sku in ("phone-x1", "case"):
        shop.sell(sku, stock=5)
    Delivery(**WIRE["batch"] | {"kwargs": travels(WIRE["batch"]["kwargs"])}).deliver()
    assert not DeadLetter.objects.exists()
    order_id = UUID(WIRE["batch"]["kwargs"]["events"][0]["subject"])
    assert Claim.objects.get().pk == order_id
    assert (shop.stock("phone-x1"), shop.stock("case")) == ((3, 2), (4, 1))
    sent = WIRE["batch"]["kwargs"]
    cursor = Cursor.objects.get(source=sent["source"], lane=sent["lane"])
    assert cursor.position == sent["through"]
    answer = shop.deliveries.next("acknowledge")
    assert answer.kwargs.items() >= WIRE["acknowledgement"]["kwargs"].items()


@AS_IT_WAS_SENT_OR_NEWER
def test_an_acknowledgement_of_the_release_is_taken(shop: Shop, travels: Callable[[Any], Any]) -> None:
    said = WIRE["acknowledgement"]["kwargs"]
    relay(said["source"])
    in_flight = Subscription.objects.filter(consumer=said["consumer"], lane=said["lane"])
    in_flight.update(batch=said["batch"], after=0, through=said["cursor"], tries=1)
    Delivery(**WIRE["acknowledgement"] | {"kwargs": travels(said)}).deliver()
    subscription = in_flight.get()
    assert (subscription.acknowledged, subscription.tries) == (said["cursor"], 0)
