"""A context's database as it was, to be put back: what an operator does after losing a disk, and tests after a mess."""

from collections.abc import Iterable

from django.db import connections, transaction


class Backup:
    """The rows of a database's tables, without the number of an outbox's lanes, which every process remembers."""

    def __init__(self, alias: str) -> None:
        self.alias = alias
        tables = connections[alias].introspection.django_table_names(only_existing=True, include_views=False)
        with transaction.atomic(using=alias):
            self._rows = {table: self._read(table) for table in tables if not table.endswith("_outbox")}

    def restore(self) -> None:
        """Put the rows back, in one transaction: foreign keys are checked at its end."""
        with transaction.atomic(using=self.alias), connections[self.alias].cursor() as cursor:
            for table, rows in self._rows.items():
                cursor.execute(f"DELETE FROM {table}")
                with cursor.copy(f"COPY {table} FROM STDIN") as copy:
                    for row in rows:
                        copy.write(row)

    def _read(self, table: str) -> list[bytes]:
        with connections[self.alias].cursor() as cursor, cursor.copy(f"COPY (TABLE {table}) TO STDOUT") as copy:
            return [bytes(row) for row in copy]


def backups(aliases: Iterable[str]) -> dict[str, Backup]:
    """A backup of each database."""
    return {alias: Backup(alias) for alias in aliases}
