"""The tables of a context that publishes: its log, and how far each consumer has come in it."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import ClassVar, NamedTuple, Self
from uuid import UUID, uuid4

from django.contrib.postgres.functions import RandomUUID
from django.db import models
from django.db.models.functions import Now

from shop.messaging.models.naming import named


class Outbox(models.Model):
    """One row: what an outbox is, fixed when it is created, and the server that it was last written on.

    lane = crc32(key) mod lanes, so changing it later would let two lanes hold one aggregate's events. The
    identity tells this outbox from every other; ``epoch`` is the first position since the last fence
    (:mod:`shop.messaging.producer.fence`). Another server than the recorded one means that the database was
    restored or failed over, and its sequence may give out positions that consumers have seen.
    """

    id = models.PositiveSmallIntegerField(primary_key=True, default=1, editable=False)
    lanes = models.PositiveSmallIntegerField()
    identity = models.UUIDField(db_default=RandomUUID(), editable=False)
    epoch = models.BigIntegerField("first position since the last fence", default=0, db_default=0)
    server = models.CharField(
        "system identifier and timeline of the server", max_length=40, blank=True, default="", db_default=""
    )

    objects: ClassVar[models.Manager[Self]] = models.Manager()

    class Meta:
        abstract = True
        constraints = (models.CheckConstraint(condition=models.Q(id=1), name="%(app_label)s_outbox_once"),)


class Fence(models.Model):
    """A jump of the outbox's positions, over all that any branch of its history can have given out."""

    first = models.BigIntegerField("first position after it", primary_key=True)
    last_kept = models.BigIntegerField("last position before it that the log has")
    reason = models.TextField()
    at = models.DateTimeField(db_default=Now())

    objects: ClassVar[models.Manager[Self]] = models.Manager()

    class Meta:
        abstract = True
        ordering = ("-first",)

    def __str__(self) -> str:
        return f"fence at {self.first}"


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

    objects: ClassVar[models.Manager[Self]] = models.Manager()

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


class InFlight(NamedTuple):
    """A batch that was sent and is not acknowledged yet."""

    id: UUID
    after: int
    through: int
    types: list[str]


class Subscription(models.Model):
    """How far one consumer has come in one lane, as its producer knows it, and the batch in flight.

    ``acknowledged``: the consumer's cursor as last reported. ``scanned``: up to here every row was either
    acknowledged or not wanted. That holds only for the types that were wanted then, so it is kept with a claim:
    no row of ``claim_types`` is in (``claim_from``, ``claim_to``]. A relay of 1.0, which knows no claims, moves
    ``scanned`` without one, and is noticed by that. A batch in flight holds the wanted rows in
    (``acknowledged``, ``through``] and keeps the types that it was filtered by.
    """

    consumer = models.CharField(max_length=100)
    generation = models.PositiveIntegerField(default=1, db_default=1)
    lane = models.PositiveSmallIntegerField()
    acknowledged = models.BigIntegerField(default=0, db_default=0)
    scanned = models.BigIntegerField(default=0, db_default=0)
    claim_types = models.JSONField("types that were looked for", null=True, blank=True)
    claim_from = models.BigIntegerField("none of them is after", null=True, blank=True)
    claim_to = models.BigIntegerField("up to", null=True, blank=True)
    batch = models.UUIDField("batch in flight", null=True, blank=True)
    after = models.BigIntegerField(null=True, blank=True)
    through = models.BigIntegerField(null=True, blank=True)
    furthest = models.BigIntegerField("furthest position ever sent", default=0, db_default=0)
    types = models.JSONField("types that a batch was filtered by", null=True, blank=True)
    types_of = models.UUIDField("batch that they belong to", null=True, blank=True)
    sent_at = models.DateTimeField(null=True, blank=True)
    tries = models.PositiveIntegerField(default=0, db_default=0)
    due_at = models.DateTimeField("next resend or empty batch", db_default=Now())
    stopped = models.TextField("why nothing is sent", blank=True, default="", db_default="")

    objects: ClassVar[models.Manager[Self]] = models.Manager()

    class Meta:
        abstract = True
        ordering = ("consumer", "generation", "lane")
        constraints = (
            models.UniqueConstraint(
                fields=("consumer", "generation", "lane"), name="%(app_label)s_subscription_generation"
            ),
        )

    def __str__(self) -> str:
        return f"{named(self.consumer, self.generation)}, lane {self.lane}"

    def reads_after(self, types: Iterable[str]) -> int:
        """Return the position after which a page of these types begins: ``scanned``, if a claim supports it."""
        if self.claim_types is None or self.claim_from is None or self.claim_to is None:
            return self.acknowledged
        covers = set(types) <= set(self.claim_types)
        holds = self.claim_from <= self.acknowledged and self.scanned <= self.claim_to
        return self.scanned if covers and holds else self.acknowledged

    def pass_over(self, types: Iterable[str], *, to: int) -> None:
        """Note that no row of these types is between where reading begins and ``to``, the last row read of the lane."""
        begins = self.reads_after(types)
        self.claim_from = self.acknowledged if begins == self.acknowledged else self.claim_from
        self.claim_types, self.claim_to, self.scanned = list(types), to, to

    def put_in_flight(self, types: Iterable[str], *, through: int) -> None:
        """Begin a new batch of all rows of these types in (``acknowledged``, ``through``]."""
        self.batch, self.after, self.through = uuid4(), self.acknowledged, through
        self.furthest = max(self.furthest, through)
        self.types, self.types_of, self.tries = list(types), self.batch, 0

    def in_flight(self) -> InFlight | None:
        """Return the batch in flight; ``None`` if there is none, or its types are unknown (1.0 sent it)."""
        if self.batch is None or self.batch != self.types_of or self.after is None or self.through is None:
            return None
        return InFlight(self.batch, self.after, self.through, self.types or [])

    def can_have_come_to(self, cursor: int, *, epoch: int, last: int) -> bool:
        """Return whether a consumer's cursor can be there: nobody applies what was never sent, or never recorded.

        A batch that a relay of 1.0 sent counts while it is in flight. Below the last fence every position is possible:
        what was sent there may be undone.

        :param last: the last position that the log has given out, whatever this row believes.
        """
        return cursor <= min(last, max(self.furthest, self.acknowledged, self.through or 0, epoch))

    def forget_batch(self) -> None:
        """Forget the batch in flight; what is left of it is read anew, under a new id."""
        self.furthest = max(self.furthest, self.through or 0)
        self.batch = self.after = self.through = self.sent_at = self.types = self.types_of = None
        self.tries = 0

    def sent(self, *, now: datetime, pause: timedelta) -> None:
        """Note that the batch in flight is about to be sent, first or again; it is due again after ``pause``."""
        self.tries += 1
        self.sent_at, self.due_at = now, now + pause

    def acknowledge(self, *, cursor: int, now: datetime, idle: timedelta) -> bool:
        """Set both positions from the consumer's cursor; return whether that rewinds the subscription."""
        rewound = cursor < self.acknowledged
        self.acknowledged = self.scanned = cursor
        self.forget_batch()
        self.due_at = now + idle
        return rewound

    def postpone(self, *, now: datetime, pause: timedelta) -> None:
        """Leave it alone for ``pause``: it cannot be read, or nobody empties the consumer's queue."""
        self.due_at = now + pause

    def stop(self, reason: str) -> None:
        """Send nothing until an operator resumes it."""
        self.forget_batch()
        self.stopped = reason

    def resume(self, *, now: datetime) -> None:
        """Let a stopped subscription go on, at once."""
        self.stopped, self.tries, self.due_at = "", 0, now
