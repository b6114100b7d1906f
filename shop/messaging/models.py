"""The messaging tables, abstract. Each context declares its own, in its own database::

    class OutboxEvent(messaging.OutboxEvent): ...

A producer owns ``Outbox``, ``OutboxEvent`` and ``Subscription``; a consumer ``Cursor``, ``DeadLetter`` and
``LetterRetry``.
"""

from django.db import models
from django.db.models.functions import Now


class Outbox(models.Model):
    """One row: how many lanes this outbox has, fixed when it is created.

    lane = crc32(key) mod lanes, so changing it later would let two lanes hold one aggregate's events.
    """

    id = models.PositiveSmallIntegerField(primary_key=True, default=1, editable=False)
    lanes = models.PositiveSmallIntegerField()

    class Meta:
        abstract = True
        constraints = (models.CheckConstraint(condition=models.Q(id=1), name="%(app_label)s_outbox_once"),)


class OutboxEvent(models.Model):
    """An event, as it was recorded with the rows that it tells of. Append-only: never updated.

    Whether it was sent is what the subscriptions' positions say. The table is partitioned by ranges
    of position (see :mod:`shop.messaging.producer.partitions`).
    """

    position = models.BigIntegerField(primary_key=True)
    lane = models.PositiveSmallIntegerField()
    type = models.CharField(max_length=100)
    key = models.CharField("key (the aggregate's id)", max_length=100)
    data = models.JSONField()
    headers = models.JSONField(default=dict)
    recorded_at = models.DateTimeField(db_default=Now())

    class Meta:
        abstract = True
        ordering = ("-position",)
        verbose_name = "outbox event"
        indexes = (
            models.Index(fields=("lane", "position"), name="%(app_label)s_outboxevent_lane"),
            models.Index(fields=("key", "position"), name="%(app_label)s_outboxevent_key"),
        )

    def __str__(self) -> str:
        return f"{self.type} #{self.position}"


class Subscription(models.Model):
    """How far one consumer has come in one lane, as its producer knows it, and the batch in flight.

    ``acknowledged``: the consumer's cursor as last told. ``scanned``: up to here every row was either
    acknowledged or not wanted. A batch in flight holds the wanted rows in ``(scanned, through]``.
    """

    consumer = models.CharField(max_length=100)
    lane = models.PositiveSmallIntegerField()
    acknowledged = models.BigIntegerField(default=0, db_default=0)
    scanned = models.BigIntegerField(default=0, db_default=0)
    batch = models.UUIDField("batch in flight", null=True, blank=True)
    after = models.BigIntegerField(null=True, blank=True)
    through = models.BigIntegerField(null=True, blank=True)
    sent_at = models.DateTimeField(null=True, blank=True)
    tries = models.PositiveIntegerField(default=0, db_default=0)
    due_at = models.DateTimeField("next resend or empty batch", db_default=Now())

    class Meta:
        abstract = True
        ordering = ("consumer", "lane")
        constraints = (models.UniqueConstraint(fields=("consumer", "lane"), name="%(app_label)s_subscription_lane"),)

    def __str__(self) -> str:
        return f"{self.consumer}, lane {self.lane}"


class Cursor(models.Model):
    """How far one consumer has come in one lane of one source: the truth about it."""

    consumer = models.CharField(max_length=100)
    source = models.CharField(max_length=100)
    lane = models.PositiveSmallIntegerField()
    position = models.BigIntegerField(default=0, db_default=0)
    fresh_at = models.DateTimeField("everything before is applied", null=True, blank=True)
    attempts = models.PositiveIntegerField("times the batch was begun", default=0, db_default=0)
    alone = models.BigIntegerField("event last begun alone", null=True, blank=True)
    alone_attempts = models.PositiveIntegerField("times it was begun alone", default=0, db_default=0)
    poisonous = models.PositiveIntegerField("poisonous events in a row", default=0, db_default=0)
    stopped = models.TextField("why the lane is stopped", blank=True, default="", db_default="")

    class Meta:
        abstract = True
        ordering = ("consumer", "source", "lane")
        constraints = (
            models.UniqueConstraint(fields=("consumer", "source", "lane"), name="%(app_label)s_cursor_lane"),
        )

    def __str__(self) -> str:
        return f"{self.consumer} on {self.source}, lane {self.lane}"


class DeadLetter(models.Model):
    """An event that could not be applied, or that waits behind an earlier one of the same key."""

    consumer = models.CharField(max_length=100)
    source = models.CharField(max_length=100)
    lane = models.PositiveSmallIntegerField()
    position = models.BigIntegerField()
    type = models.CharField(max_length=100)
    key = models.CharField(max_length=100)
    event = models.JSONField()
    error = models.TextField()
    traceback = models.TextField(blank=True)
    attempts = models.PositiveIntegerField(default=0)
    parked_at = models.DateTimeField(db_default=Now())
    discarded_at = models.DateTimeField(null=True, blank=True)
    discarded_by = models.CharField(max_length=150, blank=True, default="", db_default="")

    class Meta:
        abstract = True
        ordering = ("consumer", "source", "position")
        verbose_name = "dead letter"
        constraints = (
            models.UniqueConstraint(fields=("consumer", "source", "position"), name="%(app_label)s_deadletter_once"),
        )
        indexes = (
            models.Index(
                fields=("consumer", "source", "key", "position"),
                name="%(app_label)s_deadletter_open",
                condition=models.Q(discarded_at=None),
            ),
        )

    def __str__(self) -> str:
        return f"{self.type} #{self.position} of {self.source}"


class LetterRetry(models.Model):
    """An operator's request to retry the dead letters of some keys, and what came of it.

    Pending until a worker begins it. ``began_at`` and ``position`` are committed before each letter is tried:
    a request that has begun and never ended was cut short by that letter, or by the end of its worker.
    """

    consumer = models.CharField(max_length=100)
    source = models.CharField(max_length=100)
    keys = models.JSONField("keys, in the order of their retry")
    requested_at = models.DateTimeField(db_default=Now())
    requested_by = models.CharField(max_length=150)
    began_at = models.DateTimeField(null=True, blank=True)
    position = models.BigIntegerField("letter begun last", null=True, blank=True)
    done = models.PositiveIntegerField("keys done", default=0, db_default=0)
    applied = models.PositiveIntegerField("letters applied", default=0, db_default=0)
    left = models.PositiveIntegerField("letters left at the end", null=True, blank=True)
    error = models.TextField("why it ended early", blank=True, default="", db_default="")
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        abstract = True
        ordering = ("-id",)
        verbose_name = "retry of dead letters"
        verbose_name_plural = "retries of dead letters"
        indexes = (
            models.Index(
                fields=("id",), name="%(app_label)s_letterretry_due", condition=models.Q(began_at=None, ended_at=None)
            ),
        )

    def __str__(self) -> str:
        return f"Retry {self.pk}: {self.source}, key {self.keys[0]}" + (
            f" and {len(self.keys) - 1} more" if len(self.keys) > 1 else ""
        )
