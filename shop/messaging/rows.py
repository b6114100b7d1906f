"""Rows written set-wise: one statement for any number of them, one array for each column.

``bulk_update`` builds a CASE for each row and ``bulk_create`` a placeholder for each value; with UNNEST
the statement's text stays the same, and a thousand rows cost about what ten do.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db import connections
from django.db.models import Field, Model

INSERT = "INSERT INTO {table} ({columns}) SELECT * FROM unnest({arrays}) {conflict}"
UPDATE = "UPDATE {table} AS t SET {assignments} FROM unnest({arrays}) AS v (pk, {columns}) WHERE t.{pk} = v.pk"


def insert(alias: str, rows: Sequence[Model], *, ignore_conflicts: bool = False) -> None:
    """Insert rows of one model, in the order given. An automatic key is left to the database."""
    model = type(rows[0])
    fields: list[Field[Any, Any]] = [
        field for field in model._meta.local_concrete_fields if field is not model._meta.auto_field
    ]
    connection = connections[alias]
    quote = connection.ops.quote_name
    sql = INSERT.format(
        table=quote(model._meta.db_table),
        columns=", ".join(quote(field.column) for field in fields),
        arrays=_arrays(alias, fields),
        conflict="ON CONFLICT DO NOTHING" if ignore_conflicts else "",
    )
    with connection.cursor() as cursor:
        cursor.execute(sql, [_column(alias, field, rows) for field in fields])
    for row in rows:
        row._state.adding, row._state.db = False, alias


def update(alias: str, rows: Sequence[Model], names: Sequence[str]) -> None:
    """Write the named fields of rows of one model, which the caller has locked.

    :raises RowsVanished: if one of them is no longer there.
    """
    model = type(rows[0])
    pk = model._meta.pk
    assert pk is not None
    fields: list[Field[Any, Any]] = [model._meta.get_field(name) for name in names]  # type: ignore[misc]
    connection = connections[alias]
    quote = connection.ops.quote_name
    columns = [quote(field.column) for field in fields]
    sql = UPDATE.format(
        table=quote(model._meta.db_table),
        assignments=", ".join(f"{column} = v.{column}" for column in columns),
        arrays=_arrays(alias, [pk, *fields]),
        columns=", ".join(columns),
        pk=quote(pk.column),
    )
    with connection.cursor() as cursor:
        cursor.execute(sql, [_column(alias, field, rows) for field in (pk, *fields)])
        if cursor.rowcount != len(rows):
            raise RowsVanished(f"{len(rows) - cursor.rowcount} of {len(rows)} rows of {model.__name__} were deleted")


class RowsVanished(RuntimeError):
    """Rows that were loaded to be changed are no longer there."""


def _arrays(alias: str, fields: Sequence[Field[Any, Any]]) -> str:
    return ", ".join(f"%s::{field.db_type(connections[alias])}[]" for field in fields)


def _column(alias: str, field: Field[Any, Any], rows: Sequence[Model]) -> list[Any]:
    connection, name = connections[alias], field.attname
    return [field.get_db_prep_save(getattr(row, name), connection) for row in rows]
