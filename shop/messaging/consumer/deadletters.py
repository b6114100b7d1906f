"""What an operator can do: retry the dead letters of a key, in order; discard one; resume a lane."""

import traceback
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from django.db.models.functions import Now
from kombu.exceptions import OperationalError as BrokerAway

from shop.logs import get_logger
from shop.messaging import models as messaging
from shop.messaging.batches import Batch
from shop.messaging.consumer.lanes import hold_lane, lane_of
from shop.messaging.consumer.letters import described, event_of, storable, storable_trace
from shop.messaging.consumer.receiving import answer_what_was_left_alone
from shop.messaging.consumer.transient import is_transient
from shop.messaging.consumers import consumer_of
from shop.messaging.contexts import ContextConfig, context

log = get_logger(__name__)


def retry(label: str, *, source: str, key: str, consumer: str = "") -> int:
    """Apply a key's letters in order until one fails again; return how many were applied.

    :param consumer: its name, where that is not the context's.
    :raises Exception: a transient failure; what was applied before it stays applied.
    """
    return sum(1 for _ in applied(label, source=source, key=key, consumer=consumer))


def applied(
    label: str,
    *,
    source: str,
    key: str,
    consumer: str = "",
    before_each: Callable[[messaging.DeadLetter], None] = lambda letter: None,
) -> Iterator[messaging.DeadLetter]:
    """Apply a key's letters in order, each in its own transaction, and yield each after the commit.

    Each waits for the cursor's lock, so that an arriving batch cannot slip in between: while a letter is
    left, the batch parks what it brings for the key behind it, and this finds it there. It stops at the
    first that fails again, with the new error noted on it.

    :param before_each: called with each letter before it is tried, outside any transaction.
    :raises Exception: a transient failure.
    """
    app = context(label)
    letters = open_letters(app, source, consumer).filter(key=key).order_by("position")
    while letter := letters.first():
        before_each(letter)
        if not _apply_first(app, letters, letter):
            return
        log.info("letter applied", **_fields(app, letter))
        yield letter


def discard(label: str, *, position: int, source: str, consumer: str = "", by: str = "") -> bool:
    """Give a letter up: its event never takes effect here, and no longer holds up its key.

    The row stays, for the record and for the audit. Returns ``False`` if there is no such open letter.

    :param by: who decided that.
    """
    app = context(label)
    with transaction.atomic(using=app.database):
        letter = open_letters(app, source, consumer).filter(position=position).first()
        if letter is None:
            return False
        hold_lane(app, lane_of(letter))
        open_still = open_letters(app, source, consumer).filter(pk=letter.pk)
        discarded = bool(open_still.update(discarded_at=Now(), discarded_by=by))
    if discarded:
        log.warning("letter discarded", **_fields(app, letter), by=by)
    return discarded


def resume(label: str, *, source: str, lane: int, consumer: str = "", generation: int = 1) -> bool:
    """Let a stopped lane go on at once; fix the cause first. Returns ``False`` if it was not stopped."""
    app = context(label)
    with transaction.atomic(using=app.database):
        stopped = app.table(messaging.Cursor).objects.exclude(stopped="").select_for_update()
        cursor = stopped.filter(consumer=consumer or label, generation=generation, source=source, lane=lane).first()
        if cursor is None:
            return False
        reason = cursor.stopped
        cursor.resume()
        cursor.save()
    log.info("lane resumed", context=label, **lane_of(cursor), reason=reason)
    with suppress(BrokerAway):  # then the producer sends it again by itself, a little later
        answer_what_was_left_alone(label)
    return True


def open_letters(app: ContextConfig, source: str, consumer: str = "") -> QuerySet[messaging.DeadLetter]:
    """Return the letters of a source that hold up their keys."""
    return app.table(messaging.DeadLetter).objects.filter(
        consumer=consumer or app.label, source=source, discarded_at=None
    )


def _apply_first(app: ContextConfig, letters: QuerySet[messaging.DeadLetter], letter: messaging.DeadLetter) -> bool:
    """Apply a key's first letter and delete it. Returns ``False`` if another retry has taken it, or it failed."""
    try:
        with transaction.atomic(using=app.database):
            hold_lane(app, lane_of(letter))
            if letters.first() != letter:
                return False
            consumer_of(letter.consumer, letter.source).react(Batch([event_of(letter)], generation=letter.generation))
            letters.filter(pk=letter.pk).delete()
    except Exception as error:
        if is_transient(error):
            raise
        failure, trace = storable(described(error)), storable_trace(traceback.format_exc())
        letters.filter(pk=letter.pk).update(error=failure, traceback=trace, attempts=letter.attempts + 1)
        log.warning("letter failed again", **_fields(app, letter), error=failure)
        return False
    return True


def _fields(app: ContextConfig, letter: messaging.DeadLetter) -> dict[str, Any]:
    return {"context": app.label, **lane_of(letter), "position": letter.position, "key": letter.key}
