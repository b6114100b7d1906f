"""Receiving a batch: the cursor decides what is new, one transaction applies it and moves the cursor.

=====================  ==========================================================================
the cursor is          and so
=====================  ==========================================================================
locked by another      a copy of this batch is being worked on: go away
at or past ``through`` a duplicate: acknowledge with the cursor
before ``after``       a gap (this database was restored): acknowledge with the cursor, which rewinds
anywhere between       apply the events after it, in order; move it to ``through``; acknowledge
=====================  ==========================================================================

A process that dies before the commit leaves nothing; one that dies after it, before the acknowledgement,
leaves a batch that is sent again and found to be a duplicate.
"""

import random
import time
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connections, transaction

from shop.messaging import broker
from shop.messaging.batches import BatchMessage, position_of
from shop.messaging.consumer.bisection import Bisection
from shop.messaging.consumer.transient import is_transient
from shop.messaging.consumers import Consumer
from shop.messaging.contexts import context
from shop.messaging.failpoints import Failpoint, failpoint

TRIES = 3  # of a batch in this process, when failures are transient; then the producer sends it again
PAUSE = 0.1  # seconds before the second try, doubled before each further one, with jitter

BEGIN = """
INSERT INTO {cursor} (consumer, source, lane)
SELECT %(consumer)s, %(source)s, %(lane)s
WHERE NOT EXISTS (
    SELECT FROM {cursor} WHERE consumer = %(consumer)s AND source = %(source)s AND lane = %(lane)s
)
ON CONFLICT DO NOTHING
"""


@dataclass(frozen=True, slots=True)
class Begun:
    """The cursor as it was when an attempt began."""

    position: int
    attempts: int
    """How often this batch was begun before and never finished: its worker was killed."""


def receive(consumer: Consumer, message: BatchMessage) -> bool:
    """Apply a batch once, and acknowledge it; leave it unacknowledged while that cannot be done.

    :returns: whether it was acknowledged, so that the reaction may have recorded events.
    """
    if not _is_of_our_time(consumer, message):
        return False
    for attempt in range(1, TRIES + 1):
        try:
            position = _advance(consumer, message)
        except Exception as error:
            if not is_transient(error):
                raise
            connections[context(consumer.context).database].close()
            if attempt == TRIES:
                raise
            time.sleep(PAUSE * 2 ** (attempt - 1) * random.uniform(0.5, 1.5))
        else:
            break
    if position is None:
        return False
    failpoint(Failpoint.ACKNOWLEDGEMENT_DUE)
    broker.send(
        broker.ACKNOWLEDGE,
        broker.relay_queue(message.source),
        source=message.source,
        consumer=consumer.name,
        lane=message.lane,
        batch=message.id,
        cursor=position,
    )
    failpoint(Failpoint.ACKNOWLEDGEMENT_SENT)
    return True


def _is_of_our_time(consumer: Consumer, message: BatchMessage) -> bool:
    """Whether producer and consumer agree on what is wanted.

    While versions are mixed they may not: a producer that filters by fewer types has left out what is
    wanted now, and one that sends what is not wanted here knows a newer consumer. Either way the batch is
    left alone, to come again when both are up to date.
    """
    sent = {event["type"] for event in message.events}
    return sent <= set(consumer.types) <= set(message.types)


def _advance(consumer: Consumer, message: BatchMessage) -> int | None:
    """Bring the cursor up to the batch; where it is then, or ``None`` to say nothing to the producer."""
    begun = _begin(consumer, message)
    if begun is None:
        return None
    if begun.position >= message.through or begun.position < message.after:
        return begun.position
    events = [event for event in message.events if position_of(event) > begun.position]
    failpoint(Failpoint.ATTEMPT_RECORDED)
    bisection = Bisection(consumer, message, position=begun.position)
    try:
        return bisection.work_through(events, attempts=begun.attempts)
    except Exception:
        _survived(consumer, message)
        raise


def _begin(consumer: Consumer, message: BatchMessage) -> Begun | None:
    """Note, in a transaction of its own, that the batch is begun, so that one that kills is found out.

    ``None`` if a copy of it is being worked on, or its lane is stopped.
    """
    app = context(consumer.context)
    table = app.table("Cursor")
    lane: dict[str, str | int] = {"consumer": consumer.name, "source": message.source, "lane": message.lane}
    with transaction.atomic(using=app.database):
        with connections[app.database].cursor() as sql:
            sql.execute(BEGIN.format(cursor=table._meta.db_table), lane)
        cursor: Any = table.objects.select_for_update(skip_locked=True).filter(**lane).first()
        if cursor is None or cursor.stopped:
            return None
        begun = Begun(cursor.position, cursor.attempts)
        _asynchronous_commit(app.database)
        if message.after <= cursor.position < message.through:
            cursor.attempts += 1
            cursor.save(update_fields=["attempts"])
        elif cursor.position >= message.through and message.time:
            _note_freshness(cursor, datetime.fromisoformat(message.time))
    return begun


def _note_freshness(cursor: Any, time: datetime) -> None:
    """Nothing to apply: so the consumer is as fresh as the batch, unless it is fresher."""
    if cursor.fresh_at is None or cursor.fresh_at < time:
        cursor.fresh_at = time
        cursor.save(update_fields=["fresh_at"])


def _survived(consumer: Consumer, message: BatchMessage) -> None:
    """The attempt failed, but killed nobody: do not count it."""
    app = context(consumer.context)
    try:
        lane = app.table("Cursor").objects.filter(
            consumer=consumer.name, source=message.source, lane=message.lane, attempts__gt=0
        )
        lane.update(attempts=0, alone=None, alone_attempts=0)
    except Exception as error:
        if not is_transient(error):
            raise


def _asynchronous_commit(alias: str) -> None:
    """Losing this transaction in a crash of the server is harmless, so it need not wait for the disk."""
    with connections[alias].cursor() as sql:
        sql.execute("SET LOCAL synchronous_commit = off")
