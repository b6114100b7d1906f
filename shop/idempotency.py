"""Idempotency-Keys: a client's name for a request, kept with the effect, so that repeating it is harmless.

Each context that is written to over HTTP declares the table in its own database::

    class IdempotencyKey(idempotency.IdempotencyKey): ...

A key is stored in the transaction of the effect: after a rollback neither is there. How a view uses it is in
:mod:`shop.api.idempotency`.
"""

from datetime import datetime, timedelta
from typing import Any

from django.db import models

from shop.errors import Invalid

SWEEP = 1000  # keys that one transaction deletes, at most


class KeyReused(Invalid):
    """An Idempotency-Key stands for one request; this is another."""

    code = "idempotency_key_reused"

    def __init__(self, key: str) -> None:
        super().__init__(f"Idempotency-Key {key!r} stands for another request: use a new key for a new request.")


class IdempotencyKey(models.Model):
    """A user's name for a request, and the answer that a repeated one gets."""

    user_id = models.BigIntegerField("user")
    key = models.CharField(max_length=255)
    fingerprint = models.CharField("SHA-256 of what was asked", max_length=64)
    answer = models.TextField("answer, as JSON", blank=True, default="", db_default="")
    created_at = models.DateTimeField(db_index=True)

    class Meta:
        abstract = True
        constraints = (models.UniqueConstraint(fields=("user_id", "key"), name="%(app_label)s_idempotencykey_once"),)

    def __str__(self) -> str:
        return self.key


def forget_keys(table: type[IdempotencyKey], *, at: datetime, life: timedelta) -> int:
    """Delete a context's keys that are older than ``life``, some at a time; how many."""
    keys: models.Manager[Any] = table._default_manager
    total = 0
    while True:
        old = keys.filter(created_at__lt=at - life).order_by("created_at")
        count, _ = keys.filter(pk__in=old.values("pk")[:SWEEP]).delete()
        total += count
        if count < SWEEP:
            return total
