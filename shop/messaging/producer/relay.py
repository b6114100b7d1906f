"""The relay: sends what is new in an outbox to its consumers, and takes their acknowledgements.

For each (consumer, lane) there is one batch in flight at the most. It is recorded, committed, then sent:
a process that dies in between leaves a batch that is sent again when its time-out comes. A batch is sent
again under the same id and with the same bounds until it is acknowledged; an acknowledgement of a batch
that is no longer in flight is ignored. Since only the consumer's cursor moves ``acknowledged``, whatever
is lost, doubled or reordered on the way can delay an event, but never lose it or repeat its effect.
"""

from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

from django.conf import settings
from django.db import connections, transaction
from django.utils import timezone
from kombu.exceptions import OperationalError

from shop.messaging import broker
from shop.messaging.batches import BatchMessage
from shop.messaging.consumers import Consumer, consumers_of
from shop.messaging.contexts import ContextConfig, context
from shop.messaging.failpoints import Failpoint, failpoint
from shop.messaging.producer import reading
from shop.messaging.producer.outbox import lanes_of
from shop.messaging.producer.reading import Page

SUBSCRIBE = """
INSERT INTO {subscription} (consumer, lane)
SELECT consumer, lane FROM unnest(%s::text[]) AS consumer, generate_series(0, %s - 1) AS lane
WHERE NOT EXISTS (SELECT FROM {subscription} s WHERE s.consumer = consumer.consumer AND s.lane = lane.lane)
ON CONFLICT DO NOTHING
"""

UNWANTED_PAGES = 100  # pages without a wanted event that one pass moves over


def relay(label: str) -> int:
    """Send each consumer of a context's events its next batch, where one is due; how many were sent.

    Harmless when run by many processes at once: each subscription is locked, and skipped if it is.
    """
    app, consumers = context(label), consumers_of(label)
    if not consumers:
        return 0
    with connections[app.database].cursor() as cursor:
        cursor.execute(SUBSCRIBE.format(**reading.tables(app)), [list(consumers), lanes_of(label)])
    return sum(_relay_one(app, consumers, pk) for pk in reading.due(app, list(consumers)))


def wake(label: str) -> None:
    """Relay at once, for speed. If the broker is away, the next scan does it."""
    with suppress(OperationalError):
        relay(label)


def _relay_one(app: ContextConfig, consumers: Mapping[str, Consumer], pk: int) -> bool:
    with transaction.atomic(using=app.database):
        subscription = app.table("Subscription").objects.select_for_update(skip_locked=True).filter(pk=pk).first()
        message = _next_message(app, consumers, subscription) if subscription else None
        failpoint(Failpoint.BATCH_CHOSEN)
    return _send(consumers, subscription, message)


def take_acknowledgement(label: str, *, consumer: str, lane: int, batch: str, cursor: int) -> None:
    """Set both positions from the consumer's cursor, and send its next batch at once.

    A cursor behind ``acknowledged`` (the consumer was restored) rewinds the subscription. The
    acknowledgement of a batch that is no longer in flight is ignored.
    """
    app, consumers = context(label), consumers_of(label)
    in_flight = app.table("Subscription").objects.filter(consumer=consumer, lane=lane, batch=batch)
    with transaction.atomic(using=app.database):
        subscription = in_flight.select_for_update().first()
        if subscription is None:
            return
        subscription.acknowledged = subscription.scanned = cursor
        subscription.batch = subscription.after = subscription.through = subscription.sent_at = None
        subscription.tries = 0
        subscription.due_at = timezone.now() + settings.RELAY_IDLE
        failpoint(Failpoint.ACKNOWLEDGEMENT_TAKEN)
        message = _next_message(app, consumers, subscription)
        failpoint(Failpoint.BATCH_CHOSEN)
    _send(consumers, subscription, message)


def _send(consumers: Mapping[str, Consumer], subscription: Any, message: BatchMessage | None) -> bool:
    failpoint(Failpoint.BATCH_RECORDED)
    if message is None:
        return False
    consumer = consumers[subscription.consumer]
    broker.send(consumer.task, consumer.queue, **message.as_arguments())
    failpoint(Failpoint.BATCH_SENT)
    return True


def _next_message(app: ContextConfig, consumers: Mapping[str, Consumer], subscription: Any) -> BatchMessage | None:
    """The batch to send now, noted on the locked subscription; ``None`` if it is too early for any."""
    consumer, now = consumers.get(subscription.consumer), timezone.now()
    if consumer is None:  # it was removed from the code, and its last answer arrived late
        return None
    choose = _new_page if subscription.batch is None else _page_again
    page = choose(app, consumer, subscription, now)
    if page is not None:
        subscription.tries += 1
        subscription.sent_at = now
        subscription.due_at = now + _pause(subscription.tries)
    subscription.save()
    if page is None:
        return None
    return BatchMessage(
        id=str(subscription.batch),
        source=app.label,
        lane=subscription.lane,
        types=consumer.types,
        after=subscription.after,
        through=subscription.through,
        time=page.time,
        events=page.events,
    )


def _new_page(app: ContextConfig, consumer: Consumer, subscription: Any, now: datetime) -> Page | None:
    """The next wanted events, or an empty page if the subscription was idle for long enough.

    Pages without a wanted event only move ``scanned``, never past the last row read of this lane.
    """
    for _ in range(UNWANTED_PAGES):
        page = reading.read(app, consumer, subscription)
        if page.events or page.last == subscription.scanned:
            break
        subscription.scanned = page.last
    if not page.events and subscription.due_at > now:
        return None
    subscription.batch, subscription.after, subscription.through = uuid4(), subscription.acknowledged, page.last
    return page._replace(time=page.time or now.isoformat())


def _page_again(app: ContextConfig, consumer: Consumer, subscription: Any, now: datetime) -> Page | None:
    """What is in flight, if its time-out has come; not into a queue that nobody empties."""
    if subscription.due_at > now:
        return None
    if broker.is_backed_up(consumer.queue):
        subscription.due_at = now + settings.RELAY_RESEND_AFTER
        return None
    return reading.read(app, consumer, subscription, through=subscription.through)._replace(time=None)


def _pause(tries: int) -> timedelta:
    """How long to wait for an acknowledgement: doubled at each try, up to the limit."""
    pause: timedelta = settings.RELAY_RESEND_AFTER * 2 ** min(tries - 1, 20)
    return min(pause, settings.RELAY_RESEND_LIMIT)
