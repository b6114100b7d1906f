"""The sample's tables."""

from typing import ClassVar

from django.db import models

from shop.messaging import models as messaging
from shop.messaging.aggregates import Aggregate
from tests.contexts.sample.events import Greeted, TurnedAway


class Greeting(Aggregate):
    """Somebody who was greeted, and whether it was heard."""

    name = models.CharField(max_length=100, primary_key=True)
    heard = models.BooleanField(default=False)

    mutable: ClassVar = ("heard",)

    @classmethod
    def of(cls, name: str) -> "Greeting":
        greeting = cls(name=name)
        greeting.record(Greeted(name=name))
        return greeting

    @classmethod
    def refused_to(cls, name: str) -> "Greeting":
        greeting = cls(name=name)
        greeting.record(TurnedAway(name=name))
        return greeting


class Outbox(messaging.Outbox): ...


class OutboxEvent(messaging.OutboxEvent): ...


class Fence(messaging.Fence): ...


class Subscription(messaging.Subscription): ...


class Cursor(messaging.Cursor): ...


class Generation(messaging.Generation): ...


class DeadLetter(messaging.DeadLetter): ...


class LetterRetry(messaging.LetterRetry): ...
