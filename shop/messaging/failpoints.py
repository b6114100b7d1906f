"""The points between two steps of the protocol, by name: the places where a process may die.

They do nothing in production. The tests make each of them raise or kill, and look at what is left:
nothing may be lost, and nothing may happen twice.
"""

from collections.abc import Callable
from enum import StrEnum


class Failpoint(StrEnum):
    """A point at which everything before is done, and nothing after it."""

    APPENDED = "events appended, transaction open"
    FENCED = "sequence moved past every position handed out, epoch recorded, transaction open"
    SUBSCRIBED = "subscriptions made, nothing sent yet"
    BATCH_CHOSEN = "batch chosen, subscription's transaction open"
    BATCH_RECORDED = "batch recorded as in flight, not sent"
    BATCH_SENT = "batch sent"
    ATTEMPT_RECORDED = "attempt recorded, nothing applied"
    PIECE_APPLIED = "events applied, transaction open"
    CURSOR_MOVED = "cursor moved, transaction open"
    PIECE_COMMITTED = "events and cursor committed"
    LETTER_PARKED = "dead letter written, transaction open"
    ACKNOWLEDGEMENT_DUE = "batch done, not acknowledged"
    ACKNOWLEDGEMENT_SENT = "acknowledgement sent"
    ACKNOWLEDGEMENT_TAKEN = "positions set from the acknowledgement, transaction open"


def _nothing(point: Failpoint) -> None:
    """Do nothing, as at each point outside tests."""


at_each_failpoint: Callable[[Failpoint], None] = _nothing


def failpoint(point: Failpoint) -> None:
    """Mark that the process has come to a point."""
    at_each_failpoint(point)
