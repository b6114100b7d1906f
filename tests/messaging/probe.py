"""A consumer that tests can bend: it notes each event it is given, and fails, waits or dies when told to.

Its reaction is not idempotent, on purpose: what it noted twice took effect twice.
"""

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4

from celery import shared_task
from django.db import connections, transaction
from django.utils import timezone

from inventory.events import StockChanged
from inventory.models import OutboxEvent, Subscription
from readmodel.models import Cursor
from shop.messaging import broker
from shop.messaging.batches import Batch, BatchMessage, Received
from shop.messaging.consumer.receiving import receive
from shop.messaging.consumers import Consumer
from shop.messaging.producer.outbox import Entry, append, lane_of
from shop.messaging.producer.relay import relay
from tests.harness import Deliveries, Delivery

SOURCE, NAME = "inventory", "readmodel"

Rule = Callable[[Received], None]

CREATE = "CREATE TABLE IF NOT EXISTS probe_note (id bigserial PRIMARY KEY, position bigint, key text, number int)"

_rules: dict[str, Rule] = {}


def _react(batch: Batch) -> None:
    with connections[NAME].cursor() as cursor:
        for event in batch:
            _rules.get(event.key, lambda event: None)(event)
            note = [event.position, event.key, event.data.available]
            cursor.execute("INSERT INTO probe_note (position, key, number) VALUES (%s, %s, %s)", note)


CONSUMER = Consumer(
    context=NAME, source=SOURCE, types=(StockChanged.wire_name,), task="tests.messaging.probe.note", react=_react
)


@shared_task(name=CONSUMER.task, bind=True)
def note(self: Any, **message: object) -> None:
    """Note each event of a batch."""
    received = broker.received(self, message)
    if received is not None:
        receive(CONSUMER, BatchMessage.read(received))


class Probe:
    """Publishes to the inventory's outbox, and knows what the consumer made of it."""

    def __init__(self, deliveries: Deliveries) -> None:
        self.deliveries = deliveries
        self.published = 0
        _rules.clear()
        self.execute(CREATE)

    # What is published, and how it is received

    def publish(self, *keys: str) -> None:
        """Append an event for each key, numbered from 1 over all calls, in one transaction."""
        numbers = range(self.published + 1, self.published + 1 + len(keys))
        entries = [
            Entry(key, StockChanged(sku=key, available=number, reserved=0), {})
            for key, number in zip(keys, numbers, strict=True)
        ]
        with transaction.atomic(using=SOURCE):
            append(SOURCE, SOURCE, entries)
        self.published += len(keys)

    def when(self, key: str, rule: Rule | None) -> None:
        """Have ``rule`` called for each event of the key before it is noted."""
        _rules[key] = rule or (lambda event: None)

    def batch(self, *, empty: bool = False, lane: int | None = None) -> Delivery:
        """Relay, and take out the first batch for this consumer."""
        relay(SOURCE)
        for delivery in self.deliveries.waiting:
            if delivery.task != CONSUMER.task or bool(delivery.kwargs["events"]) == empty:
                continue
            if lane in (None, delivery.kwargs["lane"]):
                self.deliveries.waiting.remove(delivery)
                return delivery
        raise AssertionError(f"no batch among {self.deliveries.waiting}")

    def drain(self) -> None:
        """Relay and deliver until there is nothing more to do for this source."""
        while relay(SOURCE) + self.deliveries.run():
            pass

    def acknowledgement(self) -> Delivery:
        """Take out the first acknowledgement that this consumer sent."""
        for delivery in self.deliveries.waiting:
            if delivery.kwargs.get("consumer") == NAME:
                self.deliveries.waiting.remove(delivery)
                return delivery
        raise AssertionError("nothing was acknowledged")

    def message(self, *, after: int, through: int, **fields: Any) -> Delivery:
        """A batch as it might have been sent once, of the first lane."""
        message = {"id": str(uuid4()), "source": SOURCE, "lane": 0, "types": list(CONSUMER.types), "time": None}
        return Delivery(CONSUMER.task, NAME, {**message, "after": after, "through": through, "events": [], **fields})

    # What came of it

    def noted(self, *keys: str) -> list[int]:
        """The numbers of the events that took effect, in the order in which they did; of some keys only, if given."""
        rows = self.execute("SELECT key, number FROM probe_note ORDER BY id")
        return [number for key, number in rows if not keys or key in keys]

    def execute(self, sql: str, alias: str = NAME) -> list[Any]:
        with connections[alias].cursor() as cursor:
            cursor.execute(sql)
            return cursor.fetchall() if cursor.description else []


def in_lane(lane: int, count: int, *, lanes: int = 4) -> list[str]:
    """Some keys whose events share a lane."""
    keys = (f"key-{number}" for number in range(10_000))
    found = [key for key in keys if lane_of(key, lanes) == lane]
    return found[:count]


def subscription() -> Any:
    """The probe's own, in lane 0."""
    return Subscription.objects.get(consumer=NAME, lane=0)


def cursor(lane: int = 0) -> Cursor:
    """The probe's own."""
    return Cursor.objects.get(source=SOURCE, lane=lane)


def last_position() -> int:
    """Of the source's outbox."""
    return OutboxEvent.objects.latest("position").position


def due_now() -> None:
    """Let the time-outs of the source's subscriptions come."""
    Subscription.objects.update(due_at=timezone.now() - timedelta(seconds=1))


def append_unwanted(count: int, lane: int = 0) -> None:
    """Rows that nobody wants."""
    with connections[SOURCE].cursor() as cursor:
        cursor.execute(
            "INSERT INTO inventory_outboxevent (lane, type, key, data, headers) "
            "SELECT %s, 'inventory.unwanted', 'x', '{}', '{}' FROM generate_series(1, %s)",
            [lane, count],
        )
