"""Which database an app's tables live in (no relation and no migration crosses two), and when one cannot serve."""

from datetime import datetime
from typing import Any

import psycopg
from django.conf import settings
from django.db import InterfaceError, OperationalError, connections
from django.db.models import Model

RETRY_AFTER = "2"  # seconds after which a request that met an unavailable database may be tried again


def alias_of(app_label: str) -> str:
    """The database alias of an app: its context's own, or ``default`` (members, users, tokens)."""
    return settings.CONTEXTS.get(app_label, "default")


class ContextRouter:
    """Each app reads and writes its own context's database, and only that."""

    def db_for_read(self, model: type[Model], **hints: Any) -> str:
        return alias_of(model._meta.app_label)

    def db_for_write(self, model: type[Model], **hints: Any) -> str:
        return alias_of(model._meta.app_label)

    def allow_relation(self, one: Model, other: Model, **hints: Any) -> bool:
        return alias_of(one._meta.app_label) == alias_of(other._meta.app_label)

    def allow_migrate(self, db: str, app_label: str, **hints: Any) -> bool:
        return alias_of(app_label) == db


def is_unavailable(error: BaseException) -> bool:
    """Whether a database cannot do for now what was right to ask: the same may succeed a little later.

    It does not answer, a lock was not to be had in time, a statement took too long, an outbox had no partition for its
    next events, or the server only reads, as a replica does that is about to take over.
    """
    only_reads = isinstance(error.__cause__, psycopg.errors.ReadOnlySqlTransaction)
    return only_reads or isinstance(error, OperationalError | InterfaceError)


def database_time(alias: str) -> datetime:
    """Return the database's time: one clock for all processes of a context, whatever their hosts' clocks say."""
    with connections[alias].cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        now: datetime = cursor.fetchone()[0]
    return now
