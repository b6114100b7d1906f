"""A database as it was at one instant, read by SQL."""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any

import psycopg
from django.db import connections
from psycopg.rows import dict_row

Row = dict[str, Any]

FETCH = 2000  # rows that a stream holds at a time

# It reads for long and locks nothing, so it may be idle for long; sorting a million rows is worth some memory.
PREPARE = """
SET idle_in_transaction_session_timeout = 0;
SET TIME ZONE 'UTC';
SET work_mem = '64MB';
SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY;
SELECT pg_current_snapshot()
"""


class Snapshot:
    """One read-only REPEATABLE READ transaction on a connection of its own."""

    def __init__(self, connection: "psycopg.Connection[Row]") -> None:
        self._connection = connection
        self._names = count()

    def rows(self, sql: str, parameters: Row | None = None) -> list[Row]:
        """A few rows, at once."""
        return self._connection.execute(sql, parameters).fetchall()

    def stream(self, sql: str, parameters: Row | None = None) -> Iterator[Row]:
        """Any number of rows, a bounded number in memory."""
        with self._connection.cursor(name=f"audit_{next(self._names)}") as cursor:
            cursor.itersize = FETCH
            yield from cursor.execute(sql, parameters)


@contextmanager
def snapshot(alias: str) -> Iterator[Snapshot]:
    """The database as it is now, for as long as the block lasts.

    :raises psycopg.OperationalError: if the server does not answer.
    """
    parameters = connections[alias].get_connection_params()
    for django_only in ("context", "cursor_factory"):
        parameters.pop(django_only, None)
    with psycopg.connect(**parameters, row_factory=dict_row) as connection:
        connection.execute(PREPARE)
        yield Snapshot(connection)
        connection.rollback()
