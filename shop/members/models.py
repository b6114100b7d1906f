"""The members context's tables. Users, tokens and sessions are Django's own, in the same database."""

from django.contrib.auth.models import User
from django.db import models

from shop.members.events import MemberChanged, MemberJoined
from shop.messaging import models as messaging
from shop.messaging.aggregates import Announced


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


class Outbox(messaging.Outbox): ...


class OutboxEvent(messaging.OutboxEvent): ...


class Fence(messaging.Fence): ...


class Subscription(messaging.Subscription): ...
