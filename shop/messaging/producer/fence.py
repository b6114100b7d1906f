"""Keeping an outbox's positions unique over all branches of its history.

A producer's database that is restored from a backup, or fails over to a replica that lagged, goes on from an older
sequence. The positions that it would give out next were given out before, and consumers that have seen them would
take new events for duplicates. So the outbox keeps the identity of the server that it was last written on (system
identifier and timeline), and every append, relay pass and acknowledgement compares it. Where it differs, the
outbox is *fenced*: its sequence jumps beyond whatever any branch can have given out, and that first position is its
new *epoch*, which batches carry and consumers keep.

A restore that keeps both (``pg_restore``, a copied folder) cannot be seen from inside: ``manage.py fence`` does the
same by hand, before anything writes.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db import connections

from shop.logs import get_logger
from shop.messaging import models
from shop.messaging.batches import Identity
from shop.messaging.contexts import context
from shop.messaging.failpoints import Failpoint, failpoint
from shop.messaging.producer.partitions import AHEAD, add_partitions

log = get_logger(__name__)

LEAP = 1_000_000  # positions over the last one known here that a branch may have gone on by
PER_SECOND = 2**20  # positions for each second since 1970: more than any outbox gives out on average

SERVER = """
(SELECT system_identifier FROM pg_control_system()) || '/' || left(pg_walfile_name(pg_current_wal_lsn()), 8)
"""
"""The server's identity, as SQL: another after a restore to another server, and after a failover."""

CREATE = "INSERT INTO {outbox} (id, lanes) VALUES (1, %s) ON CONFLICT DO NOTHING"

STATE = f"""
SELECT identity, epoch, lanes, last_value, server, {SERVER},
       coalesce((SELECT json_agg(json_build_array(first, last_kept) ORDER BY first) FROM {{fence}}), '[]')
FROM {{outbox}}, {{events}}_position
"""

LOCK = f"SELECT epoch, server, {SERVER} FROM {{outbox}} FOR UPDATE"

# Beyond the last position known here, and beyond any that another branch can have come to by now: time counts in
# fractions of a second too, so that no two branches that are fenced one after the other get the same epoch.
NEXT = """
SELECT greatest(last_value + %s, floor(extract(epoch FROM clock_timestamp()) * %s)::bigint),
       coalesce((SELECT max(position) FROM {events}), 0)
FROM {events}_position
"""

FENCE = f"""
SELECT setval('{{events}}_position', %(first)s - 1);
INSERT INTO {{fence}} (first, last_kept, reason) VALUES (%(first)s, %(last_kept)s, %(reason)s);
UPDATE {{outbox}} SET epoch = %(first)s, server = {SERVER};
UPDATE {{subscription}} SET batch = NULL, after = NULL, through = NULL, sent_at = NULL, types = NULL, types_of = NULL,
       tries = 0, due_at = statement_timestamp(),
       stopped = CASE WHEN stopped LIKE '%%manage.py fence%%' THEN '' ELSE stopped END
"""


@dataclass(frozen=True, slots=True)
class Present:
    """An outbox as it is now."""

    identity: Identity
    lanes: int
    last: int
    """The sequence's last value: no event has a later position."""
    fences: tuple[tuple[int, int], ...]
    """(first, last kept) of each, oldest first."""


def present(label: str) -> Present:
    """Return a context's outbox as it is now. Create it if it is missing; fence it first if its server is another."""
    row = _state(label)
    if row is None or row[4] != row[5]:
        fence(label)
        row = _state(label)
    identity, epoch, lanes, last, _, _, fences = row
    return Present(Identity(identity, epoch), lanes, last, tuple((first, kept) for first, kept in fences))


def fence(label: str, *, reason: str = "") -> int | None:
    """Move the sequence beyond every position that any branch of the outbox's history can have given out.

    Creates the outbox if it is missing. Runs on its own connection: an append calls it inside a transaction, and
    the fence must stand even if that is rolled back.

    :param reason: kept beside the fence. Without one, the outbox is fenced only if its server is not the recorded one.
    :returns: the new epoch, which is the first position after the fence; ``None`` if no fence was needed.
    """
    names = tables(label)
    with _connection_of_its_own(label) as connection, connection.cursor() as cursor:
        cursor.execute(CREATE.format(**names), [settings.OUTBOX_LANES])
        # Two transactions: the partition is there before anybody can be given a position in it. Locks are those of
        # transactions, since a pool keeps a connection's own for whoever gets it next; so another process may fence
        # in between, and what the first transaction found no longer holds then.
        while True:
            with connection.transaction():
                epoch, recorded, server = cursor.execute(LOCK.format(**names)).fetchone()
                if recorded == server and not reason:
                    return None
                first, last_kept = cursor.execute(NEXT.format(**names), [LEAP, PER_SECOND]).fetchone()
                add_partitions(cursor, names["events"], first, AHEAD + 1)
            with connection.transaction():
                if cursor.execute(LOCK.format(**names)).fetchone() != (epoch, recorded, server):
                    continue
                why = reason or (
                    f"the server is {server}, and was {recorded}" if recorded else "the outbox begins here"
                )
                cursor.execute(FENCE.format(**names), {"first": first, "last_kept": last_kept, "reason": why})
                failpoint(Failpoint.FENCED)
            break
    level = logging.WARNING if recorded or last_kept else logging.INFO  # a new outbox begins so
    log.log(level, "outbox fenced", context=label, epoch=first, last_kept=last_kept, reason=why)
    return int(first)


def tables(label: str) -> dict[str, str]:
    """Return the names of a producer's tables, for SQL."""
    app = context(label)
    return {
        "outbox": app.table(models.Outbox)._meta.db_table,
        "events": app.table(models.OutboxEvent)._meta.db_table,
        "fence": app.table(models.Fence)._meta.db_table,
        "subscription": app.table(models.Subscription)._meta.db_table,
    }


def _state(label: str) -> Any:
    with connections[context(label).database].cursor() as cursor:
        cursor.execute(STATE.format(**tables(label)))
        return cursor.fetchone()


@contextmanager
def _connection_of_its_own(label: str) -> Iterator[Any]:
    own = connections[context(label).database].copy()
    own.ensure_connection()
    try:
        yield own.connection
    finally:
        own.close()
