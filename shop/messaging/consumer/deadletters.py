"""What an operator does with dead letters: retry the events of a key, in order, or discard one."""

import traceback
from typing import Any

from django.db import transaction
from django.utils import timezone

from shop.messaging.batches import Batch
from shop.messaging.consumer.letters import described, event_of, storable, storable_trace
from shop.messaging.consumer.transient import is_transient
from shop.messaging.consumers import consumer_of
from shop.messaging.contexts import ContextConfig, context


def retry(label: str, *, source: str, key: str) -> int:
    """Apply a key's letters in order, each in a transaction of its own; how many were applied.

    Each waits for the cursor's lock, so that an arriving batch cannot slip in between: while a letter is
    left, the batch parks what it brings for the key behind it, and this finds it there. It stops at the
    first that fails again, with the new error noted on it.

    :raises Exception: a transient failure; what was applied before it stays applied.
    """
    app = context(label)
    applied = 0
    while _retry_first(app, source, key):
        applied += 1
    return applied


def discard(label: str, *, position: int, source: str) -> bool:
    """Give a letter up: its event never takes effect here, and no longer holds up its key.

    The row stays, for the record. False if there was no such open letter.
    """
    app = context(label)
    with transaction.atomic(using=app.database):
        letter = _open_letters(app, source).filter(position=position).first()
        if letter is None:
            return False
        _lock_cursor(app, letter)
        open_still = _open_letters(app, source).filter(pk=letter.pk)
        return bool(open_still.update(discarded_at=timezone.now()))


def resume(label: str, *, source: str, lane: int) -> bool:
    """Let a stopped lane go on, once its cause is mended. False if it was not stopped."""
    cursors = context(label).table("Cursor").objects.filter(consumer=label, source=source, lane=lane)
    return bool(cursors.exclude(stopped="").update(stopped="", poisonous=0, attempts=0, alone=None, alone_attempts=0))


def _retry_first(app: ContextConfig, source: str, key: str) -> bool:
    """Apply the key's first letter and drop it; false if there is none, or it failed."""
    letters = _open_letters(app, source).filter(key=key).order_by("position")
    letter = letters.first()
    if letter is None:
        return False
    try:
        with transaction.atomic(using=app.database):
            _lock_cursor(app, letter)
            letter = letters.first()
            if letter is None:
                return False
            consumer_of(app.label, source).react(Batch([event_of(letter)]))
            letter.delete()
    except Exception as error:
        if is_transient(error):
            raise
        # It may be gone by now, by another retry's success.
        letters.filter(pk=letter.pk).update(
            error=storable(described(error)),
            traceback=storable_trace(traceback.format_exc()),
            attempts=letter.attempts + 1,
        )
        return False
    return True


def _lock_cursor(app: ContextConfig, letter: Any) -> None:
    """Keep batches of the letter's lane away until the transaction ends."""
    lane = {"consumer": letter.consumer, "source": letter.source, "lane": letter.lane}
    app.table("Cursor").objects.select_for_update().get(**lane)


def _open_letters(app: ContextConfig, source: str) -> Any:
    return app.table("DeadLetter").objects.filter(consumer=app.label, source=source, discarded_at=None)
