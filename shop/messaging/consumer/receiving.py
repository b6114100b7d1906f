"""Receives a batch: the cursor decides what is new, and one transaction applies it and moves the cursor.

==============================  ==================================================================================
the cursor, or the batch        and so
==============================  ==================================================================================
is locked by another            a copy of this batch is being worked on: go away
is of a generation that is gone answer so: the producer forgets the subscription
is of another outbox            refuse it: the producer stops the subscription
is of an older epoch            leave it alone: the producer has forgotten it
has no identity where one is    leave it alone; keep its id, so that a resume, or the start of a newer worker, can
known, or other types; or the   answer it with the unmoved cursor
lane is stopped
shows another event where the   stop the lane: the source was restored, and differs since
last one seen was
at or past ``through``          a duplicate: acknowledge with the cursor
before ``after``                a gap (this database was restored): acknowledge with the cursor, which rewinds
anywhere between                apply the events after it, in order; move it to ``through``; acknowledge
==============================  ==================================================================================

A process that dies before the commit leaves nothing; one that dies after it, before the acknowledgement,
leaves a batch that is sent again and found to be a duplicate.
"""

import random
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from django.db import connections, transaction

from shop.logs import get_logger
from shop.messaging import broker, models
from shop.messaging.batches import Acknowledgement, BatchMessage, position_of
from shop.messaging.consumer import generations
from shop.messaging.consumer.bisection import Bisection
from shop.messaging.consumer.judging import Judgement, Verdict, judge
from shop.messaging.consumer.lanes import lane_key
from shop.messaging.consumer.transient import is_transient
from shop.messaging.consumers import Consumer
from shop.messaging.contexts import context
from shop.messaging.failpoints import Failpoint, failpoint
from shop.messaging.sqlstates import was_canceled

log = get_logger(__name__)

TRIES = 3  # of a batch in this process, when failures are transient; then the producer sends it again
PAUSE = 0.1  # seconds before the second try, doubled before each further one, with jitter

# A cursor for each lane of the source, so that it is known from the first batch on which lanes are yet to come.
BEGIN = """
INSERT INTO {cursor} (consumer, generation, source, lane)
SELECT %(consumer)s, %(generation)s, %(source)s, lane FROM unnest(%(lanes)s::int[]) AS lane ORDER BY lane
ON CONFLICT DO NOTHING
"""


@dataclass(frozen=True, slots=True)
class Begun:
    """The judgement of a batch, and the cursor as it was when the attempt began."""

    judgement: Judgement
    position: int
    epoch: int | None
    attempts: int
    """How many earlier attempts at this batch never finished, since their worker was killed."""


def receive(consumer: Consumer, message: BatchMessage) -> bool:
    """Apply a batch once, and acknowledge it; leave it unacknowledged while that cannot be done.

    :returns: whether it was acknowledged; the reaction may have recorded events then.
    """
    for attempt in range(1, TRIES + 1):
        try:
            answer = _take(consumer, message)
        except Exception as error:
            if not is_transient(error):
                raise
            connections[context(consumer.context).database].close()
            if attempt == TRIES or was_canceled(error):  # what took a minute would take another
                raise
            time.sleep(PAUSE * 2 ** (attempt - 1) * random.uniform(0.5, 1.5))
        else:
            break
    if answer is None:
        return False
    failpoint(Failpoint.ACKNOWLEDGEMENT_DUE)
    send(answer)
    failpoint(Failpoint.ACKNOWLEDGEMENT_SENT)
    return True


def send(answer: Acknowledgement) -> None:
    """Send an answer to its source's relay; what 1.0 does not know travels in the headers."""
    queue = broker.relay_queue(answer.source)
    broker.send(broker.ACKNOWLEDGE, queue, extensions=answer.extensions, **answer.arguments)


def answer_what_was_left_alone(label: str) -> int:
    """Answer each batch that a context left alone with the unmoved cursor, so that its producer reads anew; how many.

    Call it when the obstacle may be gone: a worker starts, an operator resumed a lane, a minute has passed.
    """
    cursors = context(label).table(models.Cursor).objects
    waiting = cursors.exclude(left_alone=None).filter(stopped="")
    for cursor in waiting:
        send(
            Acknowledgement(
                source=cursor.source,
                consumer=cursor.consumer,
                generation=cursor.generation,
                lane=cursor.lane,
                batch=str(cursor.left_alone),
                cursor=cursor.position,
            )
        )
        cursors.filter(pk=cursor.pk, left_alone=cursor.left_alone).update(left_alone=None)
    return len(waiting)


def _take(consumer: Consumer, message: BatchMessage) -> Acknowledgement | None:
    """Bring the cursor up to the batch; return the answer, or ``None`` to send none."""
    begun = _begin(consumer, message)
    if begun is None:
        return None
    (verdict, reason), position = begun.judgement, begun.position
    if verdict in (Verdict.OUTDATED, Verdict.LEAVE_ALONE, Verdict.STOP):
        return None
    if verdict != Verdict.APPLY:
        refused = reason if verdict == Verdict.REFUSE else ""
        return _answer(consumer, message, position, refused=refused, gone=verdict == Verdict.GONE)
    events = [event for event in message.events if position_of(event) > position and event["type"] in consumer.types]
    failpoint(Failpoint.ATTEMPT_RECORDED)
    try:
        bisection = Bisection(consumer, message, position=position, epoch=begun.epoch)
        done = bisection.work_through(events, attempts=begun.attempts)
    except Exception:
        _survived(consumer, message)
        raise
    return None if done is None else _answer(consumer, message, done)


def _begin(consumer: Consumer, message: BatchMessage) -> Begun | None:
    """Judge the batch, and note the outcome on its cursor in a short transaction.

    An attempt is noted before it is made, so that a batch that kills its worker is detected. Returns ``None`` while
    another copy of the batch is being worked on.
    """
    alias = context(consumer.context).database
    with transaction.atomic(using=alias):
        if not generations.hold(consumer, message.generation):
            return Begun(Judgement(Verdict.GONE), 0, None, 0)
        cursor = _locked_cursor(consumer, message)
        if cursor is None:
            return None
        _asynchronous_commit(alias)
        judgement = judge(consumer, message, cursor)
        position, attempts = cursor.position, cursor.attempts
        if _note(consumer, message, cursor, judgement):
            cursor.save()
    return Begun(judgement, position, cursor.epoch, attempts)


def _note(consumer: Consumer, message: BatchMessage, cursor: models.Cursor, judgement: Judgement) -> bool:
    """Note the judgement on the cursor, and log what is unusual; return whether the cursor changed."""
    where = _where(consumer, message)
    verdict, reason = judgement
    if verdict == Verdict.REFUSE:
        log.error("batch refused", **where, reason=reason)
        return False
    if verdict in (Verdict.OUTDATED, Verdict.LEAVE_ALONE):
        log.warning("batch left alone", **where, reason=reason)
        return verdict == Verdict.LEAVE_ALONE and cursor.leave_alone(message.uuid)
    if verdict == Verdict.STOP:
        log.error("lane stopped", **where, reason=reason)
        cursor.stop(reason)
        return cursor.leave_alone(message.uuid)
    changed = _note_identity(message, cursor, where) if verdict != Verdict.GAP or cursor.outbox else False
    if verdict == Verdict.GAP:
        log.warning("gap", **where, position=cursor.position, after=message.after)
    elif verdict == Verdict.DUPLICATE:
        fresh = message.time is not None and cursor.be_fresh(datetime.fromisoformat(message.time))
        changed = fresh or changed
    else:
        cursor.want(consumer.types)
        cursor.begin()
        changed = True
    return changed


def _note_identity(message: BatchMessage, cursor: models.Cursor, where: Mapping[str, object]) -> bool:
    """Follow the outbox and the epoch that the batch is from; return whether that changed the cursor."""
    identity = message.identity
    if identity is None or (cursor.outbox, cursor.epoch) == identity:
        return False
    if cursor.outbox is None:
        log.info("outbox adopted", **where, outbox=str(identity.outbox), epoch=identity.epoch)
    for first, last_kept in message.fences:
        if last_kept < cursor.position < first:
            log.warning("source lost events that were applied here", **where, last_kept=last_kept, fence=first)
    cursor.follow(*identity)
    return True


def _locked_cursor(consumer: Consumer, message: BatchMessage) -> models.Cursor | None:
    """Lock the lane's cursor; create it and those of the other lanes if missing. ``None`` while another holds it."""
    app = context(consumer.context)
    table = app.table(models.Cursor)
    lane = lane_key(consumer, message)
    locked = table.objects.select_for_update(skip_locked=True).filter(**lane)
    cursor = locked.first()
    if cursor is None:
        lanes = [message.lane] if message.lanes is None else list(range(message.lanes))
        with connections[app.database].cursor() as sql:
            sql.execute(BEGIN.format(cursor=table._meta.db_table), {**lane, "lanes": lanes})
        cursor = locked.first()
    return cursor


def _where(consumer: Consumer, message: BatchMessage) -> dict[str, str | int]:
    """Return the fields of every log line about a batch."""
    return {"context": consumer.context, **lane_key(consumer, message), "batch": message.id}


def _answer(
    consumer: Consumer, message: BatchMessage, cursor: int, *, refused: str = "", gone: bool = False
) -> Acknowledgement:
    return Acknowledgement(
        source=message.source,
        consumer=consumer.name,
        generation=message.generation,
        lane=message.lane,
        batch=message.id,
        cursor=cursor,
        outbox=message.outbox,
        epoch=message.epoch,
        refused=refused,
        gone=gone,
    )


def _survived(consumer: Consumer, message: BatchMessage) -> None:
    """Reset the attempt count: it failed without killing the worker."""
    app = context(consumer.context)
    try:
        cursors = app.table(models.Cursor).objects.filter(**lane_key(consumer, message), attempts__gt=0)
        cursors.update(attempts=0, alone=None, alone_attempts=0)
    except Exception as error:
        if not is_transient(error):
            raise


def _asynchronous_commit(alias: str) -> None:
    """Let the commit not wait for the disk: losing this transaction in a crash of the server is harmless."""
    with connections[alias].cursor() as sql:
        sql.execute("SET LOCAL synchronous_commit = off")
