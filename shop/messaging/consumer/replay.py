"""Sending a consumer events again, by setting its cursors back.

The cursor is the truth about a consumer, so nothing else has to change: the next batch, or empty batch, finds it
behind and is answered with it, and that rewinds the producer. What is sent again meets a reaction that has seen it,
which is idempotent in itself; a type that was wanted only from some position on gets its past, as far back as the
cursor goes. Dead letters stay what they are.
"""

from contextlib import suppress
from typing import NamedTuple

from django.db import transaction
from kombu.exceptions import OperationalError as BrokerAway

from shop.logs import get_logger
from shop.messaging import broker, models
from shop.messaging.consumer.lanes import lane_of
from shop.messaging.consumers import Consumer
from shop.messaging.contexts import context

log = get_logger(__name__)


class UnableToReplay(ValueError):
    """No cursor of the consumer is beyond the position, so nothing can be sent again from there."""


class SetBack(NamedTuple):
    """What was done to a lane."""

    lane: int
    was: int
    """Where its cursor was."""
    stopped: str
    """Why it takes nothing until it is resumed; empty if it runs."""


def replay(
    consumer: Consumer, *, position: int, lane: int | None = None, generation: int = 1, reason: str, by: str
) -> list[SetBack]:
    """Have every event after ``position`` sent again; return what was done to each lane whose cursor was beyond it.

    All lanes are set back or none: a lane that is being worked on is waited for, for as long as the connection's
    ``lock_timeout`` allows. The producer is asked to send at once; if the broker is away it does so within the time
    between two empty batches.

    :param position: of the source's outbox; 0 is before its first event.
    :param lane: only this one; lanes whose cursor is before ``position`` stay where they are.
    :param reason: why, for the log.
    :param by: who wants it, for the log.
    :raises UnableToReplay: if no cursor is beyond it.
    """
    app = context(consumer.context)
    which = {"consumer": consumer.name, "source": consumer.source, "generation": generation}
    table = app.table(models.Cursor).objects.filter(**which, **({} if lane is None else {"lane": lane}))
    with transaction.atomic(using=app.database):
        cursors = list(table.select_for_update().order_by("lane"))
        beyond = [cursor for cursor in cursors if cursor.position > position]
        if position < 0 or not beyond:
            raise UnableToReplay(_why_not(consumer, position, {cursor.lane: cursor.position for cursor in cursors}))
        done = [SetBack(cursor.lane, cursor.position, cursor.stopped) for cursor in beyond]
        for cursor in beyond:
            cursor.set_back(to=position)
            cursor.save()
    for cursor, (_, was, _) in zip(beyond, done, strict=True):
        log.warning(
            "cursor set back", context=app.label, **lane_of(cursor), was=was, position=position, reason=reason, by=by
        )
    with suppress(BrokerAway):
        _ask_for_batches(consumer, generation)
    return done


def _ask_for_batches(consumer: Consumer, generation: int) -> None:
    queue = broker.relay_queue(consumer.source)
    broker.send(
        broker.SUBSCRIBE, queue, source=consumer.source, consumer=consumer.name, generation=generation, at_once=True
    )


def _why_not(consumer: Consumer, position: int, cursors: dict[int, int]) -> str:
    who = f"{consumer.name} on {consumer.source}"
    if position < 0:
        return f"{position} is not a position: 0 is before the first event"
    if not cursors:
        return f"{who} has no such cursor: it has heard nothing yet, and will be sent everything anyway"
    listed = ", ".join(f"{at} in lane {lane}" for lane, at in cursors.items())
    return f"{who} has not come beyond {position}: its cursor is at {listed}"
