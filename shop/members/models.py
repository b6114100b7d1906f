"""The members context's tables. Users, tokens and sessions are Django's own, in the same database."""

from datetime import datetime
from typing import Self

import msgspec
from django.contrib.auth.models import User
from django.db import models

from shop import idempotency
from shop.members.credit.account import Account, Command, apply, decide
from shop.members.events import (
    CreditEvent,
    CreditLimitChanged,
    CreditMovement,
    CreditOpened,
    CreditRefunded,
    CreditRefused,
    CreditReleased,
    CreditReserved,
    CreditSpent,
    MemberChanged,
    MemberJoined,
)
from shop.messaging import models as messaging
from shop.messaging.aggregates import Aggregate, Announced

SNAPSHOT_EVERY = 100  # events of an account between two writes of its row


class Member(Announced):
    """A user who may buy. Its id is the user's."""

    user = models.OneToOneField(User, on_delete=models.PROTECT, primary_key=True, related_name="member")
    name = models.CharField(max_length=150)
    active = models.BooleanField(default=True, help_text="Inactive members cannot place orders.")

    mutable = ("name", "active")

    class Meta:
        ordering = ("pk",)

    def __str__(self) -> str:
        return self.name

    # Factories

    @classmethod
    def join(cls, *, user: User, name: str) -> "Member":
        """Make a new member."""
        member = cls(user=user, name=name)
        member.record(MemberJoined(member_id=user.pk, name=name, active=True))
        return member

    # Mutators

    def change(self, *, name: str | None = None, active: bool | None = None) -> None:
        """Rename, deactivate or reactivate the member. Records no event if nothing changed."""
        before = (self.name, self.active)
        self.name = self.name if name is None else name
        self.active = self.active if active is None else active
        if before != (self.name, self.active):
            self.announce()

    def announce(self) -> None:
        self.record(MemberChanged(member_id=self.pk, name=self.name, active=self.active))


class CreditAccount(Aggregate):
    """A member's credit, event sourced: the stream is the truth, and the row is a snapshot of it.

    ``state`` is the account as it is now. It is loaded by :mod:`shop.members.credit.stream`, which also locks the row.
    The member may be unknown: its order came from before this database was restored.
    """

    member_id = models.BigIntegerField("member", primary_key=True)
    version = models.BigIntegerField("version of the snapshot")
    limit = models.BigIntegerField("limit then")
    reserved = models.BigIntegerField("reserved then")
    spent = models.BigIntegerField("spent then")

    mutable = ("version", "limit", "reserved", "spent")

    state: Account
    _snapshot: int | None = None

    class Meta:
        ordering = ("member_id",)
        constraints = (
            models.CheckConstraint(condition=models.Q(version__gt=0), name="members_creditaccount_version"),
            models.CheckConstraint(condition=models.Q(limit__gte=0), name="members_creditaccount_limit"),
            models.CheckConstraint(condition=models.Q(reserved__gte=0), name="members_creditaccount_reserved"),
            models.CheckConstraint(condition=models.Q(spent__gte=0), name="members_creditaccount_spent"),
            models.CheckConstraint(
                condition=models.Q(limit__gte=models.F("reserved") + models.F("spent")),
                name="members_creditaccount_in_use",
            ),
        )

    def __str__(self) -> str:
        return f"Credit of member {self.member_id}"

    # Factories

    @classmethod
    def of(cls, state: Account, *, snapshot: int | None) -> Self:
        """Make the aggregate of an account. :param snapshot: the version of its row, ``None`` if it has none yet."""
        account = cls(member_id=state.member_id, version=snapshot)
        account.state, account._snapshot = state, snapshot
        account._state.adding = snapshot is None
        return account

    # Mutators

    def handle(self, command: Command, *, at: datetime) -> None:
        """Carry out a command. What was answered before is announced again, and not written again.

        :raises LimitBelowUse:
        """
        for event in decide(self.state, command):
            if event.version > self.state.version:
                self.state = apply(self.state, event)
                self.attach(StreamEvent.of(event, at=at))
            self.record(event)
        if self._snapshot is None or self.state.version >= self._snapshot + SNAPSHOT_EVERY:
            self.version, self.limit = self.state.version, self.state.limit
            self.reserved, self.spent = self.state.reserved, self.state.spent

    # Queries

    @property
    def row_changed(self) -> bool:
        """Whether a new snapshot is due: every :data:`SNAPSHOT_EVERY` events."""
        return self.version != self._snapshot


class StreamEvent(models.Model):
    """An event of a credit account, as it was announced. Never changed or deleted."""

    class Type(models.TextChoices):
        OPENED = CreditOpened.wire_name, "opened"
        LIMIT_CHANGED = CreditLimitChanged.wire_name, "limit changed"
        RESERVED = CreditReserved.wire_name, "reserved"
        REFUSED = CreditRefused.wire_name, "refused"
        RELEASED = CreditReleased.wire_name, "released"
        SPENT = CreditSpent.wire_name, "spent"
        REFUNDED = CreditRefunded.wire_name, "refunded"

    member_id = models.BigIntegerField("member")
    version = models.BigIntegerField()
    type = models.CharField(max_length=100, choices=Type)
    order_id = models.UUIDField("order", null=True, blank=True)
    data = models.JSONField()
    at = models.DateTimeField()

    class Meta:
        ordering = ("-id",)
        verbose_name = "credit event"
        constraints = (
            models.UniqueConstraint(fields=("member_id", "version"), name="members_streamevent_version"),
            # Its index also finds the events of an order.
            models.UniqueConstraint(
                "order_id",
                models.Case(
                    models.When(type__in=(CreditReserved.wire_name, CreditRefused.wire_name), then=models.Value(0)),
                    models.When(type__in=(CreditReleased.wire_name, CreditSpent.wire_name), then=models.Value(-1)),
                    default=models.F("version"),
                    output_field=models.BigIntegerField(),
                ),
                name="members_streamevent_once",
            ),
            models.CheckConstraint(condition=models.Q(version__gt=0), name="members_streamevent_positive"),
        )

    def __str__(self) -> str:
        return f"{self.get_type_display()} at version {self.version} of member {self.member_id}"

    @classmethod
    def of(cls, event: CreditEvent, *, at: datetime) -> "StreamEvent":
        return cls(
            member_id=event.member_id,
            version=event.version,
            type=event.wire_name,
            order_id=event.order_id if isinstance(event, CreditMovement) else None,
            data=msgspec.to_builtins(event),
            at=at,
        )


class IdempotencyKey(idempotency.IdempotencyKey): ...


class Outbox(messaging.Outbox): ...


class OutboxEvent(messaging.OutboxEvent): ...


class Fence(messaging.Fence): ...


class Subscription(messaging.Subscription): ...


class Cursor(messaging.Cursor): ...


class Generation(messaging.Generation): ...


class DeadLetter(messaging.DeadLetter): ...


class LetterRetry(messaging.LetterRetry): ...
