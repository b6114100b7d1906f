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

SUBSCRIPTIONS = """
SELECT id, consumer, lane, scanned, (SELECT last_value FROM {outbox}_position)
FROM {subscription} WHERE consumer = ANY(%s)
"""

# For each subscription: the lane's newest position, and what its consumer wants and has not acknowledged; up to
# ``scanned`` there is none of that. The rows of a lane are met in order, as the relay meets them, and the constant
# bounds prune all partitions before the first of them.
LAG = """
SET LOCAL enable_sort = off;
SELECT s.id, coalesce(newest.position, s.scanned), behind.events, behind.oldest, behind.rows > %(cap)s
FROM unnest(%(ids)s::bigint[], %(lanes)s::smallint[], %(scanned)s::bigint[], %(types)s::text[])
     AS s (id, lane, scanned, types)
LEFT JOIN LATERAL (
    SELECT position FROM {outbox} e
    WHERE (e.lane, e.position) > (s.lane, s.scanned) AND (e.lane, e.position) <= (s.lane, %(last)s)
    AND e.position >= %(low)s + 1 AND e.position <= %(last)s
    ORDER BY e.lane DESC, e.position DESC LIMIT 1
) AS newest ON true
CROSS JOIN LATERAL (
    SELECT count(*) AS rows, count(*) FILTER (WHERE ours) AS events, min(recorded_at) FILTER (WHERE ours) AS oldest
    FROM (
        SELECT recorded_at, type = ANY(string_to_array(s.types, ' ')) AS ours FROM {outbox} e
        WHERE (e.lane, e.position) > (s.lane, s.scanned) AND (e.lane, e.position) <= (s.lane, %(last)s)
        AND e.position >= %(low)s + 1 AND e.position <= %(last)s
        ORDER BY e.lane, e.position LIMIT %(cap)s + 1
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
    """The positions of a context's subscriptions at one moment: of the first generation of each consumer."""

    def __init__(self, label: str) -> None:
        self.consumers = consumers_of(label)
        subscriptions = context(label).table(messaging.Subscription).objects.filter(generation=1)
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


def lags(label: str) -> Mapping[int, Lag]:
    """Return how far behind each subscription of a context is, by its key, bounded by :data:`LAG_CAP`.

    Those of consumers that are no longer in the code are left out.
    """
    consumers = consumers_of(label)
    with connections[context(label).database].cursor() as cursor:
        cursor.execute(SUBSCRIPTIONS.format(**tables(label)), [list(consumers)])
        rows = cursor.fetchall()
        if not rows:
            return {}
        cursor.execute(
            LAG.format(**tables(label)),
            {
                "ids": [pk for pk, *_ in rows],
                "lanes": [lane for *_, lane, _, _ in rows],
                "scanned": [scanned for *_, scanned, _ in rows],
                "types": [" ".join(consumers[consumer].types) for _, consumer, *_ in rows],
                "low": min(scanned for *_, scanned, _ in rows),
                "last": rows[0][-1],
                "cap": LAG_CAP,
            },
        )
        cursor.nextset()
        return {pk: Lag(*rest) for pk, *rest in cursor.fetchall()}
