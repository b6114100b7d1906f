"""Tells failures that pass by themselves from those that are the event's fault, or the code's."""

from collections.abc import Iterator

import psycopg
from django.db import InterfaceError, OperationalError

from shop.messaging.retry import Retry
from shop.messaging.sqlstates import lacks_partition

TRANSIENT_CLASSES = ("08", "40", "53", "57P", "58")
"""Connection lost, transaction rolled back (deadlock, serialization), out of resources, server going down,
trouble outside PostgreSQL (a disk's I/O error)."""

TRANSIENT_STATES = ("55P03", "25P03", "25006", "42501", "57014")
"""Lock not available, idle-in-transaction time-out, read-only transaction (a fail-over), a right that the database's
user lacks, which an operator has yet to grant, and a statement that was cancelled, by ``statement_timeout`` or an
administrator: no event is at fault."""


def is_transient(error: BaseException) -> bool:
    """Return whether the same can succeed later: a reaction says so (:class:`Retry`), or the SQLSTATE does.

    A lost or refused connection carries no SQLSTATE, and is transient too. Texts decide nothing.
    """
    for cause in _causes(error):
        if isinstance(cause, Retry):
            return True
        if isinstance(cause, psycopg.Error):
            if cause.sqlstate:
                if lacks_partition(cause):  # of the outbox that the reaction writes to; it is made on demand
                    return True
                return cause.sqlstate.startswith(TRANSIENT_CLASSES) or cause.sqlstate in TRANSIENT_STATES
            return isinstance(cause, (psycopg.OperationalError, psycopg.InterfaceError))
    return isinstance(error, (InterfaceError, OperationalError))


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__
