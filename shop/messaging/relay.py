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
from typing import Any, NamedTuple
from uuid import uuid4

import msgspec
from django.conf import settings
from django.db import connections, transaction
from django.utils import timezone
from kombu.exceptions import OperationalError

from shop.messaging import broker
from shop.messaging.batches import CloudEvent, Message, cloud_event
from shop.messaging.consumers import Consumer, consumers_of
from shop.messaging.contexts import ContextConfig, context
from shop.messaging.outbox import lanes_of
from shop.messaging.steps import Step, reached

SUBSCRIBE = """
INSERT INTO {subscription} (consumer, lane, acknowledged, scanned, tries)
SELECT consumer, lane, 0, 0, 0 FROM unnest(%s::text[]) AS consumer, generate_series(0, %s - 1) AS lane
WHERE NOT EXISTS (SELECT FROM {subscription} s WHERE s.consumer = consumer.consumer AND s.lane = lane.lane)
ON CONFLICT DO NOTHING
"""

# A lane's rows after ``scanned`` are compared and ordered by the pair (lane, position), and by the position alone
# for pruning, and never sorted: only the lane's index serves that, and no statistics can mislead the planner.
# Asked more plainly, it expects to meet the lane's rows soon among all others, and looking at an idle lane
# scans the backlog of the busy ones; or it expects few, and sorts the whole backlog for each page.

DUE = """
SET LOCAL enable_sort = off;
SELECT id FROM {subscription} s
WHERE consumer = ANY(%s) AND (
    due_at <= clock_timestamp()
    OR batch IS NULL AND (
        SELECT position FROM {outbox} e
        WHERE (e.lane, e.position) > (s.lane, s.scanned) AND (e.lane, e.position) <= (s.lane, 9223372036854775807)
        AND e.position > s.scanned
        ORDER BY e.lane, e.position LIMIT 1
    ) IS NOT NULL
)
ORDER BY due_at
"""

# The lane's next rows, through the index on (lane, position); bounded in rows and in bytes, at least one.
PAGE = """
SET LOCAL enable_sort = off;
SELECT position, to_char(recorded_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), total,
       type, key, data, headers
FROM (
    SELECT *, sum(size) OVER (ORDER BY lane, position) AS total FROM (
        SELECT lane, position, recorded_at, type,
               CASE WHEN wanted THEN key END AS key,
               CASE WHEN wanted THEN data::text END AS data,
               CASE WHEN wanted THEN headers::text END AS headers,
               CASE WHEN wanted THEN octet_length(data::text) ELSE 0 END AS size
        FROM (
            SELECT *, type = ANY(%(types)s) AS wanted FROM {outbox}
            WHERE (lane, position) > (%(lane)s, %(scanned)s) AND (lane, position) <= (%(lane)s, %(through)s)
            AND position > %(scanned)s AND position <= %(through)s
            ORDER BY lane, position LIMIT %(rows)s
        ) AS page
    ) AS sized
) AS bounded
WHERE total - size < %(bytes)s ORDER BY lane, position
"""

END = 2**63 - 1

UNWANTED_PAGES = 100  # pages without a wanted event that one pass moves over


def relay(label: str) -> int:
    """Send each consumer of a context's events its next batch, where one is due; how many were sent.

    Harmless when run by many processes at once: each subscription is locked, and skipped if it is.
    """
    app, consumers = context(label), consumers_of(label)
    if not consumers:
        return 0
    tables = _tables(app)
    with connections[app.database].cursor() as cursor:
        cursor.execute(SUBSCRIBE.format(**tables), [list(consumers), lanes_of(label)])
        cursor.execute(DUE.format(**tables), [list(consumers)])
        cursor.nextset()
        due = [pk for (pk,) in cursor.fetchall()]
    return sum(_relay_one(app, consumers, pk) for pk in due)


def wake(label: str) -> None:
    """Relay at once, for speed. If the broker is away, the next scan does it."""
    with suppress(OperationalError):
        relay(label)


def _relay_one(app: ContextConfig, consumers: Mapping[str, Consumer], pk: int) -> bool:
    with transaction.atomic(using=app.database):
        subscription = app.table("Subscription").objects.select_for_update(skip_locked=True).filter(pk=pk).first()
        message = _next_message(app, consumers, subscription) if subscription else None
        reached(Step.BATCH_CHOSEN)
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
        reached(Step.ACKNOWLEDGEMENT_TAKEN)
        message = _next_message(app, consumers, subscription)
        reached(Step.BATCH_CHOSEN)
    _send(consumers, subscription, message)


def _send(consumers: Mapping[str, Consumer], subscription: Any, message: Message | None) -> bool:
    reached(Step.BATCH_RECORDED)
    if message is None:
        return False
    consumer = consumers[subscription.consumer]
    broker.send(consumer.task, consumer.queue, **message.as_arguments())
    reached(Step.BATCH_SENT)
    return True


def _next_message(app: ContextConfig, consumers: Mapping[str, Consumer], subscription: Any) -> Message | None:
    """The batch to send now, noted on the locked subscription; ``None`` if it is too early for any."""
    consumer, now = consumers.get(subscription.consumer), timezone.now()
    page = None
    if consumer is not None:  # it may have been removed from the code, and its last answer arrive late
        choose = _new_page if subscription.batch is None else _page_again
        page = choose(app, consumer, subscription, now)
    if page is not None:
        subscription.tries += 1
        subscription.sent_at = now
        subscription.due_at = now + _pause(subscription.tries)
    subscription.save()
    if page is None or consumer is None:
        return None
    return Message(
        id=str(subscription.batch),
        source=app.label,
        lane=subscription.lane,
        types=consumer.types,
        after=subscription.after,
        through=subscription.through,
        time=page.time,
        events=page.events,
    )


class Page(NamedTuple):
    """Rows of a lane: the wanted ones, the last position read, and the time up to which they are all."""

    events: list[CloudEvent]
    last: int
    time: str | None
    """RFC 3339, as everywhere in messages."""


def _new_page(app: ContextConfig, consumer: Consumer, subscription: Any, now: datetime) -> Page | None:
    """The next wanted events, or an empty page if the subscription was idle for long enough.

    Pages without a wanted event only move ``scanned``, never past the last row read of this lane.
    """
    for _ in range(UNWANTED_PAGES):
        page = _page(app, consumer, subscription)
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
    return _page(app, consumer, subscription, through=subscription.through)._replace(time=None)


def _page(app: ContextConfig, consumer: Consumer, subscription: Any, *, through: int | None = None) -> Page:
    """The rows after ``scanned``: up to the bounds of a batch, or all of them up to ``through``, where that is set.

    What was sent once is never cut again: the bounds, or the types that count, may be others by then.
    """
    with connections[app.database].cursor() as cursor:
        cursor.execute(
            PAGE.format(**_tables(app)),
            {
                "types": list(consumer.types),
                "lane": subscription.lane,
                "scanned": subscription.scanned,
                "through": END if through is None else through,
                "rows": settings.RELAY_EVENTS if through is None else None,
                "bytes": settings.RELAY_BYTES if through is None else END,
            },
        )
        cursor.nextset()
        rows = cursor.fetchall()
    events = [
        cloud_event(
            source=app.label,
            position=position,
            type=type,
            key=key,
            data=msgspec.json.decode(data),
            headers=msgspec.json.decode(headers),
            time=time,
        )
        for position, time, _, type, key, data, headers in rows
        if data is not None
    ]
    if not rows:
        return Page(events, subscription.scanned, None)
    position, time, size, *_ = rows[-1]
    more = len(rows) >= settings.RELAY_EVENTS or size >= settings.RELAY_BYTES
    return Page(events, position, time if more else None)


def _pause(tries: int) -> timedelta:
    """How long to wait for an acknowledgement: doubled at each try, up to the limit."""
    pause: timedelta = settings.RELAY_RESEND_AFTER * 2 ** min(tries - 1, 20)
    return min(pause, settings.RELAY_RESEND_LIMIT)


def _tables(app: ContextConfig) -> dict[str, str]:
    return {
        "subscription": app.table("Subscription")._meta.db_table,
        "outbox": app.table("OutboxEvent")._meta.db_table,
    }
