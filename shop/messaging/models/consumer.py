"""The tables of a context that consumes: how far it has come, and what it could not apply."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, ClassVar, Self
from uuid import UUID

from django.db import models
from django.db.models.functions import Now

from shop.messaging.models.naming import named


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
