"""The messaging tables, abstract. Each context declares its own, in its own database::

    class OutboxEvent(messaging.OutboxEvent): ...

A producer owns ``Outbox``, ``OutboxEvent``, ``Fence`` and ``Subscription``; a consumer ``Cursor``, ``Generation``,
``DeadLetter`` and ``LetterRetry``. Positions change by the methods here and nowhere else; the caller holds the
row's lock.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, ClassVar, NamedTuple, Self
from uuid import UUID, uuid4

from django.contrib.postgres.functions import RandomUUID
from django.db import models
from django.db.models.functions import Now


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

    def can_have_come_to(self, cursor: int, *, epoch: int) -> bool:
        """Return whether a consumer's cursor can be there: nobody applies what was never sent.

        A batch that a relay of 1.0 sent counts while it is in flight. Below the last fence every position is possible:
        what was sent there may be undone.
        """
        return cursor <= max(self.furthest, self.acknowledged, self.through or 0, epoch)

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


def named(consumer: str, generation: int) -> str:
    """Return a consumer's name for people; the first generation is not mentioned."""
    return consumer if generation == 1 else f"{consumer}, generation {generation}"


class Generation(models.Model):
    """One run of a consumer through a source from position 0: a second rebuilds what the first one built.

    Each has its own cursors and subscriptions. The first has no row. Numbers are never used again, so an abandoned
    generation keeps its row.
    """

    consumer = models.CharField(max_length=100)
    source = models.CharField(max_length=100)
    number = models.PositiveIntegerField()
    began_at = models.DateTimeField(db_default=Now())
    ended_at = models.DateTimeField(null=True, blank=True)

    objects: ClassVar[models.Manager[Self]] = models.Manager()

    class Meta:
        abstract = True
        ordering = ("consumer", "source", "number")
        constraints = (
            models.UniqueConstraint(fields=("consumer", "source", "number"), name="%(app_label)s_generation_once"),
        )

    def __str__(self) -> str:
        return f"{named(self.consumer, self.number)} on {self.source}"


class Cursor(models.Model):
    """How far one consumer has come in one lane of one source: the truth about it.

    ``outbox`` and ``epoch`` are those of the source's outbox in the last batch. ``types`` has each type that the
    cursor moved under, with the position from which on it was wanted. ``last_event`` is the last one seen in this
    epoch, by position, type and time: if the source has another one there, it was restored.
    """

    consumer = models.CharField(max_length=100)
    generation = models.PositiveIntegerField(default=1, db_default=1)
    source = models.CharField(max_length=100)
    lane = models.PositiveSmallIntegerField()
    position = models.BigIntegerField(default=0, db_default=0)
    outbox = models.UUIDField("identity of the source's outbox", null=True, blank=True)
    epoch = models.BigIntegerField("its epoch", null=True, blank=True)
    types = models.JSONField("types, and since when", default=dict, db_default=models.Value({}, models.JSONField()))
    last_event = models.JSONField("last event seen", null=True, blank=True)
    fresh_at = models.DateTimeField("everything before is applied", null=True, blank=True)
    attempts = models.PositiveIntegerField("times the batch was begun", default=0, db_default=0)
    alone = models.BigIntegerField("event last begun alone", null=True, blank=True)
    alone_attempts = models.PositiveIntegerField("times it was begun alone", default=0, db_default=0)
    poisonous = models.PositiveIntegerField("poisonous events in a row", default=0, db_default=0)
    left_alone = models.UUIDField("batch that was left alone", null=True, blank=True)
    stopped = models.TextField("why the lane is stopped", blank=True, default="", db_default="")

    objects: ClassVar[models.Manager[Self]] = models.Manager()

    class Meta:
        abstract = True
        ordering = ("consumer", "generation", "source", "lane")
        constraints = (
            models.UniqueConstraint(
                fields=("consumer", "generation", "source", "lane"), name="%(app_label)s_cursor_generation"
            ),
        )

    def __str__(self) -> str:
        return f"{named(self.consumer, self.generation)} on {self.source}, lane {self.lane}"

    def follow(self, outbox: UUID, epoch: int) -> None:
        """Follow this outbox, in this epoch, from now on."""
        if self.epoch != epoch:
            self.last_event = None  # a restore may have undone it
        self.outbox, self.epoch = outbox, epoch

    def want(self, types: Iterable[str]) -> None:
        """Note the types that the cursor moves under from here on; a new one is wanted from here on."""
        self.types = {name: self.types.get(name, self.position) for name in types}

    def begin(self) -> None:
        """Count an attempt at a batch before it begins, so that a batch that kills its worker is detected."""
        self.attempts += 1

    def begin_alone(self, position: int) -> None:
        """Count an attempt at one event alone before it begins."""
        if self.alone != position:
            self.alone, self.alone_attempts = position, 0
        self.alone_attempts += 1

    def forget_attempts(self) -> None:
        """Reset the attempt counts: the batch is done, or failed without killing its worker."""
        self.attempts, self.alone, self.alone_attempts = 0, None, 0

    def note_poisonous(self) -> None:
        """Count one more poisonous event in a row."""
        self.poisonous += 1

    def note_sound(self) -> None:
        """Reset the count of poisonous events: some were applied."""
        self.poisonous = 0

    def advance(self, *, to: int, last_event: Mapping[str, Any] | None) -> None:
        """Move the cursor: everything up to ``to`` is applied, or parked."""
        self.position = to
        self.last_event = last_event or self.last_event

    def set_back(self, *, to: int) -> None:
        """Everything after ``to`` is to be sent again; each type is wanted from there on, at the latest."""
        self.position = to
        self.types = {name: min(since, to) for name, since in self.types.items()}
        self.last_event = self.fresh_at = None
        self.note_sound()
        self.forget_attempts()

    def be_fresh(self, at: datetime) -> bool:
        """Note that everything the lane held before ``at`` is applied; return whether that is news."""
        news = self.fresh_at is None or self.fresh_at < at
        self.fresh_at = at if news else self.fresh_at
        return news

    def leave_alone(self, batch: UUID) -> bool:
        """Keep the id of a batch that cannot be judged yet; return whether that is news."""
        news = self.left_alone != batch
        self.left_alone = batch
        return news

    def stop(self, reason: str) -> None:
        """Take nothing more until an operator resumes the lane."""
        self.stopped = reason

    def resume(self) -> None:
        """Let a stopped lane go on."""
        self.stopped, self.poisonous = "", 0
        self.forget_attempts()


class DeadLetter(models.Model):
    """An event that could not be applied, or that waits behind an earlier one of the same key."""

    consumer = models.CharField(max_length=100)
    source = models.CharField(max_length=100)
    generation = models.PositiveIntegerField(default=1, db_default=1)
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

    objects: ClassVar[models.Manager[Self]] = models.Manager()

    class Meta:
        abstract = True
        ordering = ("consumer", "source", "position")
        verbose_name = "dead letter"
        constraints = (
            models.UniqueConstraint(
                fields=("consumer", "generation", "source", "position"), name="%(app_label)s_deadletter_generation"
            ),
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

    objects: ClassVar[models.Manager[Self]] = models.Manager()

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
