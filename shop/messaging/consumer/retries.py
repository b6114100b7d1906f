"""Retries of dead letters: an operator asks for one, a worker does it, and the row tells what came of it.

An event may kill who applies it, so it is never applied in a web process. The request is a row; the task
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
    """What was done of a request."""

    consumer: str
    source: str
    applied: int


def request(label: str, *, source: str, keys: Sequence[str], by: str, consumer: str = "") -> models.LetterRetry:
    """Note that the letters of these keys are to be retried, key by key; the row.

    :param consumer: its name, where that is not the context's.
    :param by: who asks for it.
    """
    retries = context(label).table(models.LetterRetry).objects
    return retries.create(consumer=consumer or label, source=source, keys=list(keys), requested_by=by)


def call_worker(label: str, *, source: str, consumer: str = "") -> bool:
    """Have a worker of the context look for requests now. False if the broker is away: beat will have it look."""
    with suppress(BrokerAway):
        broker.send(broker.RETRY, consumer_of(consumer or label, source).queue, context=label)
        return True
    return False


def run_step(label: str) -> Step | None:
    """Take the oldest request and do a step of it; ``None`` if none is pending."""
    app = context(label)
    asked = _take(app)
    if asked is None:
        return None
    applied, failure = 0, ""
    size = next((size for size in STEPS if size > asked.done), STEPS[-1])
    for key in asked.keys[asked.done : asked.done + size]:
        count, failure = _retry_key(app, asked, key)
        applied += count
        if failure:
            break
        asked.done += 1
    asked.applied += applied
    _note_outcome(app, asked, failure)
    return Step(asked.consumer, asked.source, applied)


def _take(app: ContextConfig) -> models.LetterRetry | None:
    """One worker gets it; whoever comes at the same time gets the next."""
    pending = app.table(models.LetterRetry).objects.filter(began_at=None, ended_at=None).order_by("pk")
    with transaction.atomic(using=app.database):
        asked = pending.select_for_update(skip_locked=True).first()
        if asked is not None:
            _same(app, asked).update(began_at=Now(), position=None)
    return asked


def _retry_key(app: ContextConfig, asked: models.LetterRetry, key: str) -> tuple[int, str]:
    """Apply a key's letters; how many were, and why the next one was not."""

    def begin(letter: models.DeadLetter) -> None:
        _same(app, asked).update(began_at=Now(), position=letter.position)

    count, patience = 0, Patience()
    for failures in range(1, TRIES + 1):
        try:
            for _ in deadletters.applied(
                app.label, source=asked.source, key=key, consumer=asked.consumer, before_each=begin
            ):
                count += 1
            break
        except Exception as error:
            if not is_transient(error):
                raise
            connections[app.database].close()
            if failures == TRIES:
                return count, f"The moment is bad, and the letters are kept: {described(error)}"
            patience.pause(failures)
    first = deadletters.open_letters(app, asked.source, asked.consumer).filter(key=key).order_by("position").first()
    return count, "" if first is None else f"#{first.position}: {first.error}"


def _note_outcome(app: ContextConfig, asked: models.LetterRetry, failure: str) -> None:
    """It has ended, or its next step is pending."""
    if failure or asked.done >= len(asked.keys):
        left = deadletters.open_letters(app, asked.source, asked.consumer).filter(key__in=asked.keys).count()
        _same(app, asked).update(
            done=asked.done, applied=asked.applied, left=left, error=storable(failure), ended_at=Now()
        )
    else:
        _same(app, asked).update(done=asked.done, applied=asked.applied, began_at=None, position=None)


def _same(app: ContextConfig, asked: models.LetterRetry) -> QuerySet[models.LetterRetry]:
    return app.table(models.LetterRetry).objects.filter(pk=asked.pk)
