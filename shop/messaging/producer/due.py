"""Finds the subscriptions that have something to send, or to ask, at a cost that does not grow with the log."""

from collections.abc import Mapping
from typing import NamedTuple

from django.db import connections

from shop.messaging.contexts import ContextConfig, context
from shop.messaging.producer.quiet import skip_quiet
from shop.messaging.producer.reading import tables

# A stopped one waits for an operator. One that failed waits for its time, whatever is new.
SUBSCRIPTIONS = """
SELECT id, consumer, lane, scanned, batch IS NOT NULL OR tries > 0, due_at <= clock_timestamp(),
       (SELECT last_value FROM {outbox}_position)
FROM {subscription} WHERE consumer = ANY(%s) AND stopped = '' ORDER BY due_at
"""

# The constant bounds prune all partitions but the newest before planning, however many there are.
NEWS = """
SET LOCAL enable_sort = off;
SELECT id FROM unnest(%(ids)s::bigint[], %(lanes)s::smallint[], %(after)s::bigint[]) AS s (id, lane, after)
WHERE (
    SELECT position FROM {outbox} e
    WHERE (e.lane, e.position) > (s.lane, s.after) AND (e.lane, e.position) <= (s.lane, 9223372036854775807)
    AND e.position > s.after AND e.position >= %(low)s + 1 AND e.position <= %(last)s
    ORDER BY e.lane, e.position LIMIT 1
) IS NOT NULL
"""


class Due(NamedTuple):
    """A subscription to look at."""

    pk: int
    consumer: str
    again: bool
    """Whether a batch of it is in flight, or it failed."""


def due(label: str, consumers: list[str]) -> list[Due]:
    """Return the subscriptions with something to send, or to ask: their time has come, or their lane has a new row.

    Reads the subscriptions and the newest two partitions. Older ones are looked through once
    (:func:`~shop.messaging.producer.quiet.skip_quiet`).
    """
    app = context(label)
    with connections[app.database].cursor() as cursor:
        cursor.execute(SUBSCRIPTIONS.format(**tables(label)), [consumers])
        rows = cursor.fetchall()
    chosen = {pk for pk, _, _, _, _, is_due, _ in rows if is_due}
    idle: dict[int, tuple[int, int]] = {}
    last = rows[0][-1] if rows else 0
    for pk, _, lane, scanned, in_flight, is_due, _ in rows:
        if in_flight or scanned >= last:
            continue
        after = skip_quiet(app, lane, scanned, last)
        if after is None:
            chosen.add(pk)
        elif not is_due:
            idle[pk] = (lane, after)
    chosen |= _with_news(app, idle, last)
    return [Due(pk, consumer, in_flight) for pk, consumer, _, _, in_flight, *_ in rows if pk in chosen]


def _with_news(app: ContextConfig, idle: Mapping[int, tuple[int, int]], last: int) -> set[int]:
    """Return the subscriptions whose lane has a row after a position; ``idle`` has each one's lane and position."""
    if not idle:
        return set()
    lanes, after = zip(*idle.values(), strict=True)
    bounds = {"ids": list(idle), "lanes": list(lanes), "after": list(after), "low": min(after), "last": last}
    with connections[app.database].cursor() as cursor:
        cursor.execute(NEWS.format(**tables(app.label)), bounds)
        cursor.nextset()
        return {pk for (pk,) in cursor.fetchall()}
