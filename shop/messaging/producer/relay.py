"""The relay: sends what is new in an outbox to its consumers, and takes their acknowledgements.

For each (consumer, generation, lane) there is at most one batch in flight. It is recorded, committed, then sent:
a process that dies in between leaves a batch that is sent again when its time-out comes. A batch is sent again under
the same id, with the same bounds and types until it is acknowledged; an acknowledgement of a batch that is no longer
in flight is ignored. Since only the consumer's cursor moves ``acknowledged``, whatever is lost, doubled or reordered
on the way can delay an event, but never lose it or repeat its effect.

Every time that decides anything is the database's. The broker is never called while a row is locked.
"""

from contextlib import suppress
from datetime import datetime, timedelta
from functools import cache

from django.conf import settings
from django.db import connections, transaction
from django.db.models import F, QuerySet
from django.db.models.functions import Now
from kombu.exceptions import OperationalError as BrokerAway

from shop.logs import get_logger
from shop.messaging import broker, models
from shop.messaging.batches import Acknowledgement, BatchMessage
from shop.messaging.consumers import Consumer, consumers_of
from shop.messaging.contexts import context
from shop.messaging.failpoints import Failpoint, failpoint
from shop.messaging.producer import reading
from shop.messaging.producer.due import due
from shop.messaging.producer.fence import Present, present
from shop.messaging.producer.reading import Page

log = get_logger(__name__)

# The first generation needs no asking. (Without the count, each pass would draw from the sequence of the ids.)
SUBSCRIBE = """
INSERT INTO {subscription} (consumer, generation, lane)
SELECT consumer, 1, lane FROM unnest(%(consumers)s::text[]) AS consumer, generate_series(0, %(lanes)s - 1) AS lane
WHERE (SELECT count(*) FROM {subscription} s WHERE s.consumer = consumer.consumer AND s.generation = 1) < %(lanes)s
ON CONFLICT DO NOTHING
"""

SUBSCRIBE_GENERATION = """
INSERT INTO {subscription} (consumer, generation, lane)
SELECT %s, %s, lane FROM generate_series(0, %s - 1) AS lane ON CONFLICT DO NOTHING
"""

UNWANTED_PAGES = 100  # pages without a wanted event that one pass moves over


def relay(label: str) -> int:
    """Send each consumer of a context's events its next batch, where one is due; how many were sent.

    Harmless when run by many processes at once: each subscription is locked, and skipped if it is. One that fails
    is pushed back and reported, and holds up no other.

    :raises kombu.exceptions.OperationalError: if the broker is away.
    """
    consumers = consumers_of(label)
    if not consumers:
        return 0
    outbox = present(label)
    with connections[context(label).database].cursor() as cursor:
        wanted: dict[str, int | list[str]] = {"consumers": list(consumers), "lanes": outbox.lanes}
        cursor.execute(SUBSCRIBE.format(**reading.tables(label)), wanted)
    failpoint(Failpoint.SUBSCRIBED)
    is_backed_up = cache(broker.is_backed_up)  # each queue is asked about once in a pass, and before anything is locked
    sent = 0
    for subscription in due(label, list(consumers)):
        consumer = consumers[subscription.consumer]
        try:
            if subscription.again and is_backed_up(consumer.queue):
                _push_back(label, subscription.pk)
            else:
                sent += _relay_one(label, outbox, consumer, subscription.pk)
        except BrokerAway:
            raise
        except Exception:
            log.exception(
                "subscription failed", context=label, consumer=subscription.consumer, subscription=subscription.pk
            )
            _push_back(label, subscription.pk, failed=True)
    return sent


def wake(label: str) -> None:
    """Relay at once, for speed. If the broker is away, the next scan does it."""
    with suppress(BrokerAway):
        relay(label)


def subscribe(label: str, *, consumer: str, generation: int, at_once: bool = False) -> None:
    """Create the subscriptions of a generation of a consumer, from position 0 on; harmless if it has them.

    :param at_once: its cursors were set back: send each lane a batch now, if only an empty one, to be told so.
    """
    if consumer not in consumers_of(label):
        log.warning("unknown consumer asks to subscribe", context=label, consumer=consumer, generation=generation)
        return
    lanes = present(label).lanes
    with connections[context(label).database].cursor() as cursor:
        cursor.execute(SUBSCRIBE_GENERATION.format(**reading.tables(label)), [consumer, generation, lanes])
    if at_once:
        subscriptions = context(label).table(models.Subscription).objects.filter(consumer=consumer)
        subscriptions.filter(generation=generation, stopped="").update(due_at=Now())
        wake(label)


def resume(label: str, pk: int) -> bool:
    """Let a stopped subscription go on with the next scan; fix the cause first. False if it was not stopped."""
    with transaction.atomic(using=context(label).database):
        subscription = _locked(label).filter(pk=pk).exclude(stopped="").select_for_update().first()
        if subscription is None:
            return False
        reason = subscription.stopped
        subscription.resume(now=subscription.now)  # type: ignore[attr-defined]  # annotated
        subscription.save()
    where = {"consumer": subscription.consumer, "generation": subscription.generation, "lane": subscription.lane}
    log.info("subscription resumed", context=label, **where, reason=reason)
    return True


def take_acknowledgement(label: str, answer: Acknowledgement) -> None:
    """Set both positions from the consumer's cursor, and send its next batch at once.

    A cursor behind ``acknowledged`` (the consumer was restored) rewinds the subscription. The acknowledgement of a
    batch that is no longer in flight, or of another outbox, is ignored. A refusal, and a cursor beyond anything ever
    sent or beyond the log's head, stop the subscription; the answer of a generation that is gone deletes it.
    """
    outbox, consumer = present(label), consumers_of(label).get(answer.consumer)
    where = {"context": label, "consumer": answer.consumer, "generation": answer.generation, "lane": answer.lane}
    if answer.outbox not in (None, str(outbox.identity.outbox)):
        log.warning("acknowledgement of another outbox ignored", **where, outbox=answer.outbox)
        return
    in_flight = _locked(label).filter(
        consumer=answer.consumer, generation=answer.generation, lane=answer.lane, batch=answer.batch
    )
    message = None
    with transaction.atomic(using=context(label).database):
        subscription = in_flight.select_for_update().first()
        if subscription is None:
            log.debug("acknowledgement of a batch that is not in flight ignored", **where, batch=answer.batch)
            return
        now: datetime = subscription.now  # type: ignore[attr-defined]  # annotated
        if answer.gone:
            subscription.delete()
            log.warning("subscription of a generation that is gone deleted", **where)
            return
        if reason := _reason_to_stop(label, outbox, subscription, answer):
            subscription.stop(reason)
            log.error("subscription stopped", **where, reason=reason)
        elif subscription.acknowledge(cursor=answer.cursor, now=now, idle=settings.RELAY_IDLE):
            log.warning("subscription rewound", **where, position=answer.cursor)
        failpoint(Failpoint.ACKNOWLEDGEMENT_TAKEN)
        if consumer is not None and not subscription.stopped:  # it may have been removed from the code meanwhile
            message = _next_message(label, outbox, consumer, subscription, now)
        subscription.save()
        failpoint(Failpoint.BATCH_CHOSEN)
    _send(consumer, message)


def _reason_to_stop(label: str, outbox: Present, subscription: models.Subscription, answer: Acknowledgement) -> str:
    if answer.refused:
        return f"The consumer refuses this outbox: {answer.refused}"
    if not subscription.can_have_come_to(answer.cursor, epoch=outbox.identity.epoch, last=outbox.last):
        return (
            f"The consumer's cursor is at {answer.cursor}, nothing was sent beyond {subscription.furthest}, and the "
            f"log ends at {outbox.last}: this database was restored, and its server does not show it, or the consumer "
            f"was sent a forged batch. After a restore, run `manage.py fence {label}`."
        )
    return ""


def _relay_one(label: str, outbox: Present, consumer: Consumer, pk: int) -> bool:
    with transaction.atomic(using=context(label).database):
        subscription = _locked(label).filter(pk=pk, stopped="").select_for_update(skip_locked=True).first()
        message = None
        if subscription is not None:
            now: datetime = subscription.now  # type: ignore[attr-defined]  # annotated
            message = _next_message(label, outbox, consumer, subscription, now)
            subscription.save()
        failpoint(Failpoint.BATCH_CHOSEN)
    return _send(consumer, message)


def _send(consumer: Consumer | None, message: BatchMessage | None) -> bool:
    failpoint(Failpoint.BATCH_RECORDED)
    if consumer is None or message is None:
        return False
    broker.send(consumer.task, consumer.queue, extensions=message.extensions, **message.arguments)
    failpoint(Failpoint.BATCH_SENT)
    return True


def _next_message(
    label: str, outbox: Present, consumer: Consumer, subscription: models.Subscription, now: datetime
) -> BatchMessage | None:
    """Choose the batch to send now, and note it on the locked subscription; ``None`` if none is due."""
    if subscription.batch is not None and subscription.due_at > now:
        return None
    page = _page_again(label, consumer, subscription) or _new_page(label, consumer, subscription, now)
    batch = subscription.in_flight()
    if page is None or batch is None:
        return None
    subscription.sent(now=now, pause=_pause(subscription.tries + 1))
    return BatchMessage(
        id=str(batch.id),
        source=label,
        lane=subscription.lane,
        types=batch.types,
        after=batch.after,
        through=batch.through,
        time=page.time,
        events=reading.mark_annulled(label, page.events, consumer.annuls, through=outbox.last),
        generation=subscription.generation,
        outbox=str(outbox.identity.outbox),
        epoch=outbox.identity.epoch,
        fences=[fence for fence in outbox.fences if fence[0] > batch.after],
        lanes=outbox.lanes,
    )


def _page_again(label: str, consumer: Consumer, subscription: models.Subscription) -> Page | None:
    """Read the batch in flight again, under the types that it was filtered by.

    ``None`` if there is none, or it is dropped, to be read anew: the consumer wants more types by now, or a relay of
    1.0 sent it and kept no types.
    """
    if subscription.batch is None:
        return None
    where = {"context": label, "consumer": subscription.consumer, "lane": subscription.lane}
    batch = subscription.in_flight()
    if batch is None or not set(consumer.types) <= set(batch.types):
        log.warning("batch in flight dropped, to be read anew for more types", **where, batch=str(subscription.batch))
        subscription.forget_batch()
        return None
    log.info("batch resent", **where, batch=str(batch.id), tries=subscription.tries + 1)
    page = reading.read(label, lane=subscription.lane, types=batch.types, after=batch.after, through=batch.through)
    return page._replace(time=None)


def _new_page(label: str, consumer: Consumer, subscription: models.Subscription, now: datetime) -> Page | None:
    """Read the next wanted events, or an empty page if the subscription was idle for long enough.

    Pages without a wanted event only move ``scanned``, never past the last row read of this lane.
    """
    types, after = consumer.types, subscription.reads_after(consumer.types)
    for _ in range(UNWANTED_PAGES):
        page = reading.read(label, lane=subscription.lane, types=types, after=after)
        if page.events or page.last == after:
            break
        subscription.pass_over(types, to=page.last)
        after = page.last
    if not page.events and subscription.due_at > now:
        return None
    subscription.put_in_flight(types, through=page.last)
    return page._replace(time=page.time or now.isoformat())


def _push_back(label: str, pk: int, *, failed: bool = False) -> None:
    """Leave a subscription alone for a while: it failed, or nobody empties its consumer's queue."""
    later = Now() + settings.RELAY_RESEND_AFTER
    context(label).table(models.Subscription).objects.filter(pk=pk).update(due_at=later, tries=F("tries") + int(failed))


def _locked(label: str) -> QuerySet[models.Subscription]:
    """Subscriptions with the database's time, to be locked."""
    return context(label).table(models.Subscription).objects.annotate(now=Now())


def _pause(tries: int) -> timedelta:
    """Return how long to wait for an acknowledgement: doubled at each try, up to the limit."""
    pause: timedelta = settings.RELAY_RESEND_AFTER * 2 ** min(tries - 1, 20)
    return min(pause, settings.RELAY_RESEND_LIMIT)
