"""The outbox in partitions of a million positions each, so that what is old can be dropped whole.

There is no default partition: its rows would block new ranges. Tables are made ahead of need and attached, which
blocks neither appends nor reads, as ``CREATE TABLE … PARTITION OF`` would. Beat looks after them when it starts and
every minute, and so does each process that scans. An append that finds none makes it on the spot, and its caller tries
again: running out of partitions parks no event, stops no lane, and needs no operator.
"""

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Any

from django.db import Error, IntegrityError, OperationalError, connections, migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

from shop.logs import get_logger
from shop.messaging import models as messaging
from shop.messaging.contexts import context
from shop.messaging.sqlstates import lacks_partition

log = get_logger(__name__)

SIZE = 1_000_000  # positions in a partition
AHEAD = 10  # partitions kept ready beyond the newest position, at least
AHEAD_SECONDS = 3600  # seconds that they are to last at the recent rate
RATE_SECONDS = 60  # seconds that a burst is spread over, at least, when the rate is computed
LOOK_INTERVAL = 60  # seconds between two looks of a process
LOCK_TIMEOUT = "2s"  # how long making one waits for another process that makes one, or for a VACUUM of the outbox

CREATE = """
CREATE SEQUENCE {table}_position CACHE 1;
CREATE TABLE {table} (
    position bigint NOT NULL DEFAULT nextval('{table}_position') PRIMARY KEY,
    lane smallint NOT NULL CHECK (lane >= 0),
    type varchar(100) NOT NULL,
    key varchar(100) NOT NULL,
    data jsonb NOT NULL,
    headers jsonb NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp()
) PARTITION BY RANGE (position);
CREATE INDEX {table}_lane ON {table} (lane, position);
CREATE INDEX {table}_key ON {table} (key, position);
"""

ADD = """
CREATE TABLE {table}_p{number} (
    LIKE {table} INCLUDING ALL, CONSTRAINT {table}_p{number}_range CHECK (position >= {first} AND position < {end})
);
ALTER TABLE {table} ATTACH PARTITION {table}_p{number} FOR VALUES FROM ({first}) TO ({end});
"""

# One maker at a time, to the end of its transaction: what it found missing stays so until it is there.
ONE_MAKER = "SELECT pg_advisory_xact_lock(hashtext(%s))"

NEWEST = "SELECT last_value FROM {table}_position"

# How long ago the oldest of the last SIZE positions was written. Constant bounds prune all but two partitions.
RECENT = """
SELECT position, extract(epoch FROM clock_timestamp() - recorded_at)::float FROM {table}
WHERE position > {newest} - {size} AND position <= {newest} ORDER BY position LIMIT 1
"""

EXISTING = "SELECT relname FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid WHERE inhparent = %s::regclass"

_making = Lock()
_looked: dict[str, float] = {}


class PartitionMissing(OperationalError):
    """The outbox had no partition for the events. Nothing was written; it has been made, so try again."""


class CreateOutboxEvent(migrations.CreateModel):
    """Creates a context's outbox table partitioned; to be used where ``CreateModel`` would stand."""

    def database_forwards(
        self, app_label: str, schema_editor: BaseDatabaseSchemaEditor, from_state: Any, to_state: Any
    ) -> None:
        model = to_state.apps.get_model(app_label, self.name)
        if self.allow_migrate_model(schema_editor.connection.alias, model):
            table = model._meta.db_table
            schema_editor.execute(CREATE.format(table=table))
            for number in range(AHEAD + 1):
                schema_editor.execute(_add(table, number))

    def database_backwards(
        self, app_label: str, schema_editor: BaseDatabaseSchemaEditor, from_state: Any, to_state: Any
    ) -> None:
        super().database_backwards(app_label, schema_editor, from_state, to_state)
        schema_editor.execute(f"DROP SEQUENCE IF EXISTS {app_label}_outboxevent_position")


def ensure_partitions(label: str) -> list[str]:
    """Make the partitions that are missing beyond the newest position; return their names, in order.

    There are ``AHEAD`` at least, and enough for ``AHEAD_SECONDS`` at the recent rate. Each is made in a transaction
    of a connection opened for it, so that the first is there at once and no caller's locks are held. Harmless when
    run by many processes at once.

    :raises DatabaseError: if one cannot be made, or another maker takes longer than ``LOCK_TIMEOUT``.
    """
    app = context(label)
    table: str = app.table(messaging.OutboxEvent)._meta.db_table
    connection = connections[app.database].copy()
    try:
        connection.set_autocommit(False)
        with connection.cursor() as cursor:
            cursor.execute(f"SET lock_timeout = '{LOCK_TIMEOUT}'")
            newest = _newest(cursor, table)
            wanted = range(newest // SIZE, newest // SIZE + _ahead(cursor, table, newest) + 1)
            missing = _missing(cursor, table, wanted)
            connection.commit()
            made = []
            for number in missing:
                made += add_partitions(cursor, table, number * SIZE, 1)
                connection.commit()
    finally:
        connection.close()
    if made:
        log.info("partitions made", context=label, first=made[0], last=made[-1])
    return made


def add_partitions(cursor: Any, table: str, first_position: int, count: int) -> list[str]:
    """Make the partition of a position and those after it, ``count`` in all, where missing; return the names made.

    They exist once the caller's transaction commits; until then other processes that make some wait.
    """
    cursor.execute(ONE_MAKER, [f"partitions of {table}"])
    first = first_position // SIZE
    missing = _missing(cursor, table, range(first, first + count))
    for number in missing:
        cursor.execute(_add(table, number))
    return [f"{table}_p{number}" for number in missing]


def look_after_partitions(label: str) -> None:
    """Ensure that partitions are ready, unless this process did within ``LOOK_INTERVAL``; log what prevents it."""
    if time.monotonic() - _looked.get(label, -math.inf) < LOOK_INTERVAL:
        return
    _looked[label] = time.monotonic()
    _try_to_make(label)


@contextmanager
def made_on_demand(label: str) -> Iterator[None]:
    """Make the partitions that the statements inside turn out to lack. :raises PartitionMissing: if they lack any."""
    try:
        yield
    except IntegrityError as error:
        if not lacks_partition(error):
            raise
        log.warning("outbox ran out of partitions", context=label)
        if _making.acquire(blocking=False):
            try:
                _try_to_make(label)
            finally:
                _making.release()
        else:  # another thread makes them
            with _making:
                pass
        raise PartitionMissing(f"{label}: the outbox had no partition for the events; try again") from error


def _try_to_make(label: str) -> None:
    try:
        ensure_partitions(label)
    except Error:
        log.exception("partitions could not be made", context=label)


def _newest(cursor: Any, table: str) -> int:
    cursor.execute(NEWEST.format(table=table))
    return int(cursor.fetchone()[0])


def _ahead(cursor: Any, table: str, newest: int) -> int:
    """Return how many partitions are to be ready beyond the newest position."""
    cursor.execute(RECENT.format(table=table, newest=newest, size=SIZE))
    row = cursor.fetchone()
    if row is None:
        return AHEAD
    position, seconds = row
    rate: float = (newest - position) / max(seconds, RATE_SECONDS)
    return max(AHEAD, math.ceil(rate * AHEAD_SECONDS / SIZE))


def _missing(cursor: Any, table: str, numbers: range) -> list[int]:
    cursor.execute(EXISTING, [table])
    existing = {name for (name,) in cursor.fetchall()}
    return [number for number in numbers if f"{table}_p{number}" not in existing]


def _add(table: str, number: int) -> str:
    return ADD.format(table=table, number=number, first=number * SIZE, end=(number + 1) * SIZE)
