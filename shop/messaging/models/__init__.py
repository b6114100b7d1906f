"""The messaging tables, abstract. Each context declares its own, in its own database::

    class OutboxEvent(messaging.OutboxEvent): ...

A producer owns ``Outbox``, ``OutboxEvent``, ``Fence`` and ``Subscription``; a consumer ``Cursor``, ``Generation``,
``DeadLetter`` and ``LetterRetry``. Positions change by the methods here and nowhere else; the caller holds the
row's lock.
"""

from shop.messaging.models.consumer import Cursor, DeadLetter, Generation, LetterRetry
from shop.messaging.models.naming import named
from shop.messaging.models.producer import Fence, InFlight, Outbox, OutboxEvent, Subscription

__all__ = [
    "Cursor",
    "DeadLetter",
    "Fence",
    "Generation",
    "InFlight",
    "LetterRetry",
    "Outbox",
    "OutboxEvent",
    "Subscription",
    "named",
]
