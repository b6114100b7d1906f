"""The outbox in partitions of a million positions each, so that what is old can be dropped whole.

There is no default partition: its rows would block new ranges. Tables are made ahead of need and
attached, which locks far less than ``CREATE TABLE … PARTITION OF``.
"""

from typing import Any

from django.db import connections, migrations, transaction
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

from shop.messaging import models as messaging
from shop.messaging.contexts import context

SIZE = 1_000_000  # positions in a partition
AHEAD = 10  # partitions kept ready beyond the newest position

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

NEWEST = "SELECT last_value FROM {table}_position"

EXISTING = "SELECT relname FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid WHERE inhparent = %s::regclass"


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
    """Make the partitions that are missing up to ``AHEAD`` beyond the newest position; their names.

    Harmless when run twice at once: the second finds the table there and leaves it.
    """
    app = context(label)
    table: str = app.table(messaging.OutboxEvent)._meta.db_table
    with transaction.atomic(using=app.database), connections[app.database].cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", [f"partitions of {table}"])
        cursor.execute(NEWEST.format(table=table))
        newest = cursor.fetchone()[0] // SIZE
        cursor.execute(EXISTING, [table])
        existing = {name for (name,) in cursor.fetchall()}
        missing = [n for n in range(newest, newest + AHEAD + 1) if f"{table}_p{n}" not in existing]
        for number in missing:
            cursor.execute(_add(table, number))
    return [f"{table}_p{number}" for number in missing]


def add_partitions(cursor: Any, table: str, first: int, count: int = AHEAD + 1) -> list[str]:
    """Make the partition of a position and those after it, as far as they are missing; their names.

    :param cursor: a cursor, or a connection, in a transaction.
    """
    existing = {name for (name,) in cursor.execute(EXISTING, [table]).fetchall()}
    numbers = range(first // SIZE, first // SIZE + count)
    missing = [number for number in numbers if f"{table}_p{number}" not in existing]
    for number in missing:
        cursor.execute(_add(table, number))
    return [f"{table}_p{number}" for number in missing]


def _add(table: str, number: int) -> str:
    return ADD.format(table=table, number=number, first=number * SIZE, end=(number + 1) * SIZE)
