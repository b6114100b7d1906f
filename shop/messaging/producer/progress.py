"""Shows how far each event is on its way, from the subscriptions' positions alone: rows are never marked."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple

from django.db import connections

from shop.messaging import models as messaging
from shop.messaging.consumers import consumers_of
from shop.messaging.contexts import context
from shop.messaging.producer.reading import tables

TRACE_LIMIT = 200  # events of one key that a trace shows, at most

LAG_CAP = 10_000  # rows of a lane that are read to count what is behind, at most

# For each subscription: the lane's newest position, and what its consumer wants and has not acknowledged;
# up to ``scanned`` there is none of that.
LAG = """
SELECT s.consumer, s.lane, coalesce(head.position, 0), behind.events, behind.oldest, behind.rows > %(cap)s
FROM {subscription} AS s
JOIN unnest(%(consumers)s::text[], %(types)s::text[]) AS wanted (consumer, types) USING (consumer)
LEFT JOIN LATERAL (
    SELECT position FROM {outbox} WHERE lane = s.lane ORDER BY position DESC LIMIT 1
) AS head ON true
CROSS JOIN LATERAL (
    SELECT count(*) AS rows, count(*) FILTER (WHERE ours) AS events, min(recorded_at) FILTER (WHERE ours) AS oldest
    FROM (
        SELECT recorded_at, type = ANY(string_to_array(wanted.types, ' ')) AS ours FROM {outbox}
        WHERE lane = s.lane AND position > s.scanned ORDER BY position LIMIT %(cap)s + 1
    ) AS page
) AS behind
"""


class State(StrEnum):
    """What became of an event on its way to one consumer."""

    WAITING = "waiting"
    SENT = "sent"
    ACKNOWLEDGED = "acknowledged"
    NOT_WANTED = "not wanted"


class Lag(NamedTuple):
    """How far behind a consumer is in one lane."""

    head: int
    """The lane's newest position."""
    events: int
    """Wanted and not acknowledged."""
    oldest: datetime | None
    """When the first of them was recorded."""
    more: bool
    """Whether counting stopped at the cap: there may be more."""


class Progress:
    """The positions of a context's subscriptions at one moment."""

    def __init__(self, label: str) -> None:
        self.consumers = consumers_of(label)
        subscriptions = context(label).table(messaging.Subscription).objects.all()
        self._positions = {(row.consumer, row.lane): row for row in subscriptions}

    def of(self, event: Any) -> dict[str, State]:
        """Return the state of an outbox row, for each of the context's consumers."""
        return {name: self._state(event, name) for name in self.consumers}

    def _state(self, event: Any, consumer: str) -> State:
        if event.type not in self.consumers[consumer].types:
            return State.NOT_WANTED
        at = self._positions.get((consumer, event.lane))
        if at is not None and event.position <= at.acknowledged:
            return State.ACKNOWLEDGED
        if at is not None and at.batch is not None and at.after < event.position <= at.through:
            return State.SENT
        return State.WAITING


def trace(label: str, key: str) -> list[Any]:
    """Return a key's outbox rows, oldest first; the newest :data:`TRACE_LIMIT`, if there are more."""
    events = context(label).table(messaging.OutboxEvent).objects.filter(key=key)
    return list(events.order_by("-position")[:TRACE_LIMIT])[::-1]


def lags(label: str) -> Mapping[tuple[str, int], Lag]:
    """Return how far behind each (consumer, lane) of a context is, in one query bounded by :data:`LAG_CAP`."""
    app, consumers = context(label), consumers_of(label)
    sql = LAG.format(**tables(label))
    with connections[app.database].cursor() as cursor:
        types = [" ".join(consumer.types) for consumer in consumers.values()]
        cursor.execute(sql, {"consumers": list(consumers), "types": types, "cap": LAG_CAP})
        return {(consumer, lane): Lag(*rest) for consumer, lane, *rest in cursor.fetchall()}
