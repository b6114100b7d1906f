"""Rows written set-wise: one statement for any number of them, one array for each column.

``bulk_update`` builds a CASE for each row and ``bulk_create`` a placeholder for each value; with UNNEST
the statement's text stays the same, and a thousand rows cost about what ten do.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db import connections, models

from shop.setwise.columns import array, array_type

INSERT = "INSERT INTO {table} ({columns}) SELECT * FROM unnest({arrays})"
UPDATE = "UPDATE {table} AS t SET {assignments} FROM unnest({arrays}) AS v (pk, {columns}) WHERE t.{pk} = v.pk"


class RowsVanished(RuntimeError):
    """Rows that were loaded to be changed are no longer there."""


def insert(alias: str, rows: Sequence[models.Model]) -> None:
    """Insert rows of one model, in the order given. An automatic key is left to the database."""
    meta = type(rows[0])._meta
    fields = [field for field in meta.local_concrete_fields if field is not meta.auto_field]
    sql = INSERT.format(
        table=meta.db_table,
        columns=", ".join(_quoted(field) for field in fields),
        arrays=_arrays(alias, fields),
    )
    with connections[alias].cursor() as cursor:
        cursor.execute(sql, [_column(field, rows) for field in fields])


def update(alias: str, rows: Sequence[models.Model], names: Sequence[str]) -> None:
    """Write the named fields of rows of one model, which the caller has locked.

    :raises RowsVanished: if one of them is no longer there.
    """
    model = type(rows[0])
    fields: list[Any] = [model._meta.pk, *(model._meta.get_field(name) for name in names)]
    columns = [_quoted(field) for field in fields[1:]]
    sql = UPDATE.format(
        table=model._meta.db_table,
        assignments=", ".join(f"{column} = v.{column}" for column in columns),
        arrays=_arrays(alias, fields),
        columns=", ".join(columns),
        pk=_quoted(fields[0]),
    )
    with connections[alias].cursor() as cursor:
        cursor.execute(sql, [_column(field, rows) for field in fields])
        if cursor.rowcount != len(rows):
            raise RowsVanished(f"{len(rows) - cursor.rowcount} of {len(rows)} rows of {model.__name__} were deleted")


def _quoted(field: models.Field[Any, Any]) -> str:
    """Return a column's name as SQL takes it, reserved words such as ``limit`` included."""
    return f'"{field.column}"'


def _arrays(alias: str, fields: Sequence[models.Field[Any, Any]]) -> str:
    return ", ".join(f"%s::{array_type(field, connections[alias])}" for field in fields)


def _column(field: models.Field[Any, Any], rows: Sequence[models.Model]) -> str:
    name = field.attname
    return array(field, [getattr(row, name) for row in rows])
