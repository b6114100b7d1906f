"""Which database an app's tables live in (no relation and no migration crosses two), and when one cannot serve."""

from typing import Any

import psycopg
from django.conf import settings
from django.db import IntegrityError, InterfaceError, OperationalError
from django.db.models import Model


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

    It does not answer, a lock was not to be had in time, or an outbox has no partition for its next events.
    """
    return isinstance(error, OperationalError | InterfaceError) or is_partition_missing(error)


def is_partition_missing(error: BaseException) -> bool:
    """Whether a row had no partition to go to. Those are made ahead of need, so it passes by itself.

    PostgreSQL reports it as a check that was violated, but names no constraint.
    """
    cause = error.__cause__ if isinstance(error, IntegrityError) else error
    return isinstance(cause, psycopg.errors.CheckViolation) and cause.diag.constraint_name is None
