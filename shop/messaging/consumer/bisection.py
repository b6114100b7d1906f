"""Applies a batch in pieces, each in its own transaction, which moves the cursor, to isolate poisonous events.

A batch is tried whole. Where that fails for good, it is halved, and the half that fails is halved again, until one
event is left. It is tried twice more, with pauses, in a batch of one as in a batch of many: many failures pass by
themselves, such as that of a migration that has yet to run. Then it is parked as a dead letter, later events of its
key are parked behind it, in order, and everything else proceeds. An event that kills its worker raises nothing, so
attempts are counted before they begin: the third starts halved, the next quartered, until the event is begun alone.
Begun alone three times and never finished, it is parked without another try; once is not enough, since a worker may
be killed for other reasons. Where not even the letter can be written, the lane stops and says why.
"""

import traceback
from collections.abc import Sequence
from datetime import datetime
from functools import partial
from typing import NoReturn

from django.db import connections, transaction

from shop.logs import get_logger
from shop.messaging import models
from shop.messaging.batches import Batch, BatchMessage, CloudEvent, position_of
from shop.messaging.consumer.lanes import lane_key
from shop.messaging.consumer.letters import described, key_of, storable, write_letter
from shop.messaging.consumer.patience import TRIES, Patience
from shop.messaging.consumer.transient import is_transient
from shop.messaging.consumers import Consumer
from shop.messaging.contexts import context
from shop.messaging.failpoints import Failpoint, failpoint
from shop.setwise import arrays

log = get_logger(__name__)

POISONOUS_LIMIT = 10  # poisonous events in a row beyond which the code is bad, not the data

WHOLE_ATTEMPTS = 2  # attempts at a whole batch before it is halved

ALONE_ATTEMPTS = 3  # attempts at an event alone before it counts as the killer

LOGGED = 200  # characters of an error in the log; its letter has the rest

KILLER = f"It was begun alone {ALONE_ATTEMPTS} times and never finished: it kills its worker."

LETTERS = """
SELECT position, key, discarded_at IS NULL FROM {letter}
WHERE consumer = %(consumer)s AND generation = %(generation)s AND source = %(source)s
AND (position = ANY(%(positions)s::bigint[]) OR key = ANY(%(keys)s::text[]) AND discarded_at IS NULL)
"""

Piece = Sequence[CloudEvent]


class Overtaken(Exception):
    """Another copy of the batch has the cursor or has moved it, or the source was fenced: stop working on this one."""


class LaneStopped(Exception):
    """The lane is stopped, or has just been: too many poisonous events in a row, or a letter that cannot be written."""


class Bisection:
    """One run of a batch through a consumer, from the cursor's position and in the epoch that it was judged by."""

    def __init__(self, consumer: Consumer, message: BatchMessage, *, position: int, epoch: int | None) -> None:
        self.consumer = consumer
        self.message = message
        self.position = position
        self.epoch = epoch
        self.app = context(consumer.context)
        self.lane = lane_key(consumer, message)
        self.patience = Patience()

    def work_through(self, events: Piece, *, attempts: int) -> int | None:
        """Apply ``events`` in pieces as large as the attempts so far allow; return the cursor's new position.

        ``None`` if another copy overtook this one, or the lane was stopped.

        :raises Exception: a transient failure; what was committed before it stays.
        """
        pieces = _cut(events, attempts)
        try:
            while pieces:
                piece = pieces.pop()
                end = position_of(piece[-1]) if pieces else self.message.through
                if attempts >= WHOLE_ATTEMPTS and len(piece) == 1 and self._has_killed(piece[0]):
                    self._park(piece[0], KILLER, end=end, attempts=attempts)
                    continue
                try:
                    self._try(piece, end=end)
                except Exception as error:
                    if not _is_poison(error) or not piece:
                        raise
                    if len(piece) == 1:
                        trace = traceback.format_exc()
                        self._park(piece[0], described(error), trace, end=end, attempts=attempts + TRIES)
                    else:
                        middle = len(piece) // 2
                        pieces += [piece[middle:], piece[:middle]]
        except (Overtaken, LaneStopped):
            return None
        return self.position

    def _try(self, piece: Piece, *, end: int) -> None:
        """Apply a piece. A lone event is tried twice more before its failure counts."""
        tries = TRIES if len(piece) == 1 else 1
        for attempt in range(1, tries):
            try:
                return self._apply(piece, end=end)
            except Exception as error:
                if not _is_poison(error):
                    raise
            self.patience.pause(attempt)
        return self._apply(piece, end=end)

    def _apply(self, piece: Piece, *, end: int) -> None:
        """Park what waits behind a dead letter, apply the rest and move the cursor, in one transaction."""
        with transaction.atomic(using=self.app.database):
            cursor = self._locked_cursor()
            fit = self._park_what_waits(piece)
            if fit:
                self.consumer.react(Batch(fit, generation=self.message.generation))
                cursor.note_sound()
            failpoint(Failpoint.PIECE_APPLIED)
            self._move(cursor, end, piece)
        self.position = end
        failpoint(Failpoint.PIECE_COMMITTED)

    def _park(self, event: CloudEvent, error: str, trace: str = "", *, end: int, attempts: int) -> None:
        """Make the event a dead letter and move the cursor past it, in one transaction.

        :raises LaneStopped: if too many in a row were poisonous, or the letter cannot be written; the lane
            then stops before this one.
        """
        try:
            with transaction.atomic(using=self.app.database):
                cursor = self._locked_cursor()
                cursor.note_poisonous()
                if cursor.poisonous <= POISONOUS_LIMIT:
                    self._write_letter(event, error, trace, attempts=attempts)
                    failpoint(Failpoint.LETTER_PARKED)
                    self._move(cursor, end, [event])
        except Exception as unwritable:
            if not _is_poison(unwritable):
                raise
            reason = f"The dead letter of #{event['id']} cannot be written: {described(unwritable)}"
            self._stop(f"{reason}. It was to be parked because of {error}")
        if cursor.poisonous > POISONOUS_LIMIT:
            self._stop(f"{POISONOUS_LIMIT} poisonous events in a row, then #{event['id']}: {error}")
        self.position = end

    def _stop(self, reason: str) -> NoReturn:
        """Stop the lane where it is, for an operator to see and to resume.

        :raises LaneStopped: when that is done.
        """
        with transaction.atomic(using=self.app.database):
            cursor = self._locked_cursor()
            cursor.stop(storable(reason))
            cursor.save(update_fields=["stopped"])
        log.error("lane stopped", context=self.app.label, **self.lane, reason=cursor.stopped)
        raise LaneStopped(cursor.stopped)

    def _has_killed(self, event: CloudEvent) -> bool:
        """Return whether the event was begun alone too often. If not, note that it is begun once more."""
        with transaction.atomic(using=self.app.database):
            cursor = self._locked_cursor()
            if cursor.alone == position_of(event) and cursor.alone_attempts >= ALONE_ATTEMPTS:
                return True
            cursor.begin_alone(position_of(event))
            cursor.save(update_fields=["alone", "alone_attempts"])
        return False

    def _locked_cursor(self) -> models.Cursor:
        table = self.app.table(models.Cursor)
        cursor = table.objects.select_for_update(skip_locked=True).filter(**self.lane).first()
        if cursor is None or (cursor.position, cursor.epoch) != (self.position, self.epoch):
            raise Overtaken
        if cursor.stopped:
            raise LaneStopped(cursor.stopped)
        return cursor

    def _move(self, cursor: models.Cursor, end: int, piece: Piece) -> None:
        last = piece[-1] if piece else None
        cursor.advance(to=end, last_event=last and {"position": position_of(last), **_known(last)})
        if end == self.message.through:
            cursor.forget_attempts()
            if self.message.time is not None:
                cursor.be_fresh(datetime.fromisoformat(self.message.time))
        cursor.save()
        failpoint(Failpoint.CURSOR_MOVED)

    def _park_what_waits(self, piece: Piece) -> Piece:
        """Park the events whose key has an open letter; return those left to apply.

        An event that is a letter already, open or discarded, comes again only if the cursor was set back:
        it stays what it is.
        """
        positions = arrays.of_plain(position_of(event) for event in piece)
        keys = arrays.of_text({key_of(event) for event in piece})
        table = self.app.table(models.DeadLetter)._meta.db_table
        with connections[self.app.database].cursor() as sql:
            sql.execute(LETTERS.format(letter=table), {**self.lane, "positions": positions, "keys": keys})
            letters = sql.fetchall()
        if not letters:
            return piece
        parked = {position for position, _, _ in letters}
        waiting = {key for _, key, is_open in letters if is_open}
        new = [event for event in piece if position_of(event) not in parked]
        for event in new:
            if key_of(event) in waiting:
                self._write_letter(event, "Waits behind an earlier event of its key.", "", attempts=0)
        return [event for event in new if key_of(event) not in waiting]

    def _write_letter(self, event: CloudEvent, error: str, trace: str, *, attempts: int) -> None:
        write_letter(self.app, self.lane, event, error, trace, attempts=attempts)
        fields = {"context": self.app.label, **self.lane, "position": event["id"], "key": key_of(event)}
        transaction.on_commit(
            partial(log.warning, "event parked", **fields, error=storable(error, LOGGED)),
            using=self.app.database,
        )


def _known(event: CloudEvent) -> dict[str, str]:
    """Return what identifies an event at its position."""
    return {"type": event["type"], "time": event["time"]}


def _is_poison(error: Exception) -> bool:
    """Return whether the event or the code is at fault, and neither a passing failure nor another copy of the batch."""
    return not isinstance(error, (Overtaken, LaneStopped)) and not is_transient(error)


def _cut(events: Piece, attempts: int) -> list[Piece]:
    """Cut events into the pieces to try, in reverse: one piece at first, halves at the third attempt, and so on."""
    size = max(1, len(events) >> max(0, attempts - WHOLE_ATTEMPTS + 1))
    return [events[start : start + size] for start in range(0, len(events) or 1, size)][::-1]
