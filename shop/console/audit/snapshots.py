"""A database as it was at one instant, read by SQL."""

from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import count
from typing import Any, Self

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
    """One read-only REPEATABLE READ transaction on its own connection."""

    def __init__(self, connection: "psycopg.Connection[Row]") -> None:
        self._connection = connection
        self._names = count()

    def rows(self, sql: str, parameters: Row | None = None) -> list[Row]:
        """Return a few rows, at once."""
        return self._connection.execute(sql, parameters).fetchall()

    def stream(self, sql: str, parameters: Row | None = None) -> Iterator[Row]:
        """Yield any number of rows, with a bounded number in memory."""
        with self._connection.cursor(name=f"audit_{next(self._names)}") as cursor:
            cursor.itersize = FETCH
            yield from cursor.execute(sql, parameters)


class Sessions:
    """The audit's connections to the databases, kept from one snapshot to the next; use it in a ``with``."""

    def __init__(self) -> None:
        self._idle: defaultdict[str, list[psycopg.Connection[Row]]] = defaultdict(list)
        self._all = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._all.close()

    @contextmanager
    def snapshot(self, alias: str, name: str = "audit") -> Iterator[Snapshot]:
        """Open a snapshot of the database while the block lasts; what is deleted meanwhile is not cleared away.

        :param name: the application's name, as the server shows it.
        :raises psycopg.OperationalError: if the server does not answer.
        """
        connection = self._idle[alias].pop() if self._idle[alias] else self._connected(alias)
        connection.execute(PREPARE)
        connection.execute("SELECT set_config('application_name', %s, true)", [name])
        yield Snapshot(connection)
        connection.rollback()
        self._idle[alias].append(connection)

    def _connected(self, alias: str) -> "psycopg.Connection[Row]":
        parameters = connections[alias].get_connection_params()
        for django_only in ("context", "cursor_factory"):
            parameters.pop(django_only, None)
        connection = psycopg.connect(**parameters, row_factory=dict_row)
        self._all.callback(connection.close)
        return connection
