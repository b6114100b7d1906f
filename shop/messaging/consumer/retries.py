"""Retries of dead letters: an operator asks for one, a worker does it, and the row keeps the outcome.

An event may kill the process that applies it, so it is never applied in a web process. The request is a row; the task
that the broker brings is only a hint, and whoever looks next takes what is pending. A request is taken by
one worker, once: that it begins, and with which letter, is committed before. One that its worker did not
survive stays as it is, for the operator to see, and is not taken again.

The keys of a group of letters are retried like a canary: one, then two, five, ten and so on, a task for each
step, so that batches get their turn in between; the first key that fails again ends it.
"""

from collections.abc import Sequence
from contextlib import suppress
from typing import NamedTuple

from django.db import connections, transaction
from django.db.models import QuerySet
from django.db.models.functions import Now
from kombu.exceptions import OperationalError as BrokerAway

from shop.messaging import broker, models
from shop.messaging.consumer import deadletters
from shop.messaging.consumer.letters import described, storable
from shop.messaging.consumer.patience import TRIES, Patience
from shop.messaging.consumer.transient import is_transient
from shop.messaging.consumers import consumer_of
from shop.messaging.contexts import ContextConfig, context

STEPS = (1, 2, 5, 10, 20, 50)  # keys; the last again and again


class Step(NamedTuple):
    """What one step did."""

    consumer: str
    source: str
    applied: int


def request(label: str, *, source: str, keys: Sequence[str], by: str, consumer: str = "") -> models.LetterRetry:
    """Note that the letters of these keys are to be retried, key by key; return the row.

    :param consumer: its name, where that is not the context's.
    :param by: who asks for it.
    """
    retries = context(label).table(models.LetterRetry).objects
    return retries.create(consumer=consumer or label, source=source, keys=list(keys), requested_by=by)


def call_worker(label: str, *, source: str, consumer: str = "") -> bool:
    """Have a worker of the context look for requests now. ``False`` if the broker is away: beat calls it later."""
    with suppress(BrokerAway):
        broker.send(broker.RETRY, consumer_of(consumer or label, source).queue, context=label)
        return True
    return False


def run_step(label: str) -> Step | None:
    """Take the oldest request and do one step of it; ``None`` if none is pending."""
    app = context(label)
    row = _take(app)
    if row is None:
        return None
    applied, failure = 0, ""
    size = next((size for size in STEPS if size > row.done), STEPS[-1])
    for key in row.keys[row.done : row.done + size]:
        count, failure = _retry_key(app, row, key)
        applied += count
        if failure:
            break
        row.done += 1
    row.applied += applied
    _note_outcome(app, row, failure)
    return Step(row.consumer, row.source, applied)


def _take(app: ContextConfig) -> models.LetterRetry | None:
    """Take the oldest request. Another worker at the same time gets the next."""
    pending = app.table(models.LetterRetry).objects.filter(began_at=None, ended_at=None).order_by("pk")
    with transaction.atomic(using=app.database):
        row = pending.select_for_update(skip_locked=True).first()
        if row is not None:
            _same(app, row).update(began_at=Now(), position=None)
    return row


def _retry_key(app: ContextConfig, row: models.LetterRetry, key: str) -> tuple[int, str]:
    """Apply a key's letters; return how many were applied, and why the next one was not."""

    def begin(letter: models.DeadLetter) -> None:
        _same(app, row).update(began_at=Now(), position=letter.position)

    count, patience = 0, Patience()
    for failures in range(1, TRIES + 1):
        try:
            for _ in deadletters.applied(
                app.label, source=row.source, key=key, consumer=row.consumer, before_each=begin
            ):
                count += 1
            break
        except Exception as error:
            if not is_transient(error):
                raise
            connections[app.database].close()
            if failures == TRIES:
                return count, f"A temporary failure; the letters are kept: {described(error)}"
            patience.pause(failures)
    first = deadletters.open_letters(app, row.source, row.consumer).filter(key=key).order_by("position").first()
    return count, "" if first is None else f"#{first.position}: {first.error}"


def _note_outcome(app: ContextConfig, row: models.LetterRetry, failure: str) -> None:
    """Note that the request has ended, or that its next step is pending."""
    if failure or row.done >= len(row.keys):
        left = deadletters.open_letters(app, row.source, row.consumer).filter(key__in=row.keys).count()
        _same(app, row).update(done=row.done, applied=row.applied, left=left, error=storable(failure), ended_at=Now())
    else:
        _same(app, row).update(done=row.done, applied=row.applied, began_at=None, position=None)


def _same(app: ContextConfig, row: models.LetterRetry) -> QuerySet[models.LetterRetry]:
    return app.table(models.LetterRetry).objects.filter(pk=row.pk)
