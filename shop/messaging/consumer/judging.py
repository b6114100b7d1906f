"""Decides what to do with a batch, by the cursor of its lane. Pure: no I/O; the caller locks the cursor."""

from collections.abc import Set
from enum import StrEnum
from typing import NamedTuple

from shop.messaging.batches import BatchMessage
from shop.messaging.consumers import Consumer
from shop.messaging.models import Cursor


class Verdict(StrEnum):
    """What becomes of a batch."""

    APPLY = "apply"
    DUPLICATE = "duplicate"
    GAP = "gap"
    LEAVE_ALONE = "leave alone"
    OUTDATED = "outdated"
    REFUSE = "refuse"
    GONE = "gone"
    STOP = "stop"


class Judgement(NamedTuple):
    """A verdict, and the reason where it needs one."""

    verdict: Verdict
    reason: str = ""


def judge(consumer: Consumer, message: BatchMessage, cursor: Cursor) -> Judgement:
    """Decide what to do with a batch; the first of these that is true counts.

    1. It is of another outbox than the cursor's: refuse it. Of an older epoch of the same: it is outdated, since its
       producer has forgotten it. Without an identity, once one is known, and its positions do not tell either: leave
       it alone.
    2. The lane is stopped: leave it alone.
    3. Producer and consumer do not agree on what is wanted: leave it alone.
    4. It shows another event where the last one seen was: stop the lane.
    5. The cursor is at its end or past it, before it, or within it: a duplicate, a gap, something to apply.
    """
    if (mismatch := _identity_mismatch(message, cursor)) is not None:
        return mismatch
    if cursor.stopped:
        return Judgement(Verdict.LEAVE_ALONE, f"the lane is stopped: {cursor.stopped}")
    if disagreement := _disagreement(consumer, message, set(cursor.types)):
        return Judgement(Verdict.LEAVE_ALONE, disagreement)
    if difference := _difference(message, cursor):
        return Judgement(Verdict.STOP, difference)
    if cursor.position >= message.through:
        return Judgement(Verdict.DUPLICATE)
    if cursor.position < message.after:
        return Judgement(Verdict.GAP)
    return Judgement(Verdict.APPLY)


def _identity_mismatch(message: BatchMessage, cursor: Cursor) -> Judgement | None:
    identity = message.identity
    if identity is None:
        if _can_do_without_identity(message, cursor):
            return None
        return Judgement(Verdict.LEAVE_ALONE, "it has no identity: its relay is of an older release")
    if cursor.outbox not in (None, identity.outbox):
        return Judgement(
            Verdict.REFUSE,
            f"it is from outbox {identity.outbox}, and this lane follows {cursor.outbox}: give each deployment that "
            f"shares a broker a QUEUE_PREFIX, or delete the lane's cursor if the source was made anew",
        )
    if cursor.epoch is not None and identity.epoch < cursor.epoch:
        return Judgement(Verdict.OUTDATED, f"it is of epoch {identity.epoch}, from before the fence {cursor.epoch}")
    return None


def _can_do_without_identity(message: BatchMessage, cursor: Cursor) -> bool:
    """Tell whether a batch of a relay of 1.0 is taken: such relays run on while a newer release is rolled out.

    Every one is until an epoch is known. After that, one that reaches the epoch, since no other history has given
    out such positions; and one that ends where the cursor is, since it changes nothing.
    """
    return cursor.epoch is None or message.through >= cursor.epoch or message.through == cursor.position


def _disagreement(consumer: Consumer, message: BatchMessage, moved_under: Set[str]) -> str:
    """Return how producer and consumer differ on what is wanted, as they may while releases are mixed.

    A producer that filters by fewer types has left out what is wanted now. One that sends what is not wanted here
    serves a newer consumer, and a cursor that has moved under more types was moved by one. Either way the batch is to
    come again when both sides are up to date.
    """
    sent = {event["type"] for event in message.events}
    wanted = set(consumer.types)
    if unknown := (sent | moved_under) - wanted - consumer.given_up:
        return f"a newer release of this consumer wants {', '.join(sorted(unknown))}"
    if missing := wanted - set(message.types):
        return f"it was filtered without {', '.join(sorted(missing))}"
    return ""


def _difference(message: BatchMessage, cursor: Cursor) -> str:
    """Return how the batch contradicts the last event seen, if it reaches back over it.

    Compares within an epoch only: an event of an earlier one may have been undone, and a fence covers that.
    """
    last = cursor.last_event
    if last is None or message.epoch != cursor.epoch:
        return ""
    if not message.after < last["position"] <= message.through or last["type"] not in message.types:
        return ""
    times = [event["time"] for event in message.events if int(event["id"]) == last["position"]]
    if times == [last["time"]]:
        return ""
    instead = f"was recorded at {times[0]}" if times else "is not in its log"
    return (
        f"Event {last['position']} of {message.source} was applied as recorded at {last['time']}, and {instead}: its "
        f"database was restored, and differs since. Run `manage.py fence {message.source}`, then resume this lane."
    )
