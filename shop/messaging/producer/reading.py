"""Reading an outbox, lane by lane and page by page, through its index on (lane, position) and nothing else."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec
from django.conf import settings
from django.db import connections

from shop.messaging.batches import CloudEvent, cloud_event
from shop.messaging.consumers import Consumer
from shop.messaging.contexts import ContextConfig
from shop.messaging.producer.quiet import skip_quiet

# A lane's rows after ``scanned`` are compared and ordered by the pair (lane, position), and by the position alone
# for pruning, and never sorted: only the lane's index serves that, and no statistics can mislead the planner.
# Asked more plainly, it expects to meet the lane's rows soon among all others, and looking at an idle lane
# scans the backlog of the busy ones; or it expects few, and sorts the whole backlog for each page.

SUBSCRIPTIONS = """
SELECT id, lane, scanned, batch IS NULL, due_at <= clock_timestamp(), (SELECT last_value FROM {outbox}_position)
FROM {subscription} WHERE consumer = ANY(%s) ORDER BY due_at
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

# The lane's next rows, through the index on (lane, position); bounded in rows and in bytes, at least one.
PAGE = """
SET LOCAL enable_sort = off;
SELECT position, to_char(recorded_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), total,
       type, key, data, headers
FROM (
    SELECT *, sum(size) OVER (ORDER BY lane, position) AS total FROM (
        SELECT lane, position, recorded_at, type,
               CASE WHEN wanted THEN key END AS key,
               CASE WHEN wanted THEN data::text END AS data,
               CASE WHEN wanted THEN headers::text END AS headers,
               CASE WHEN wanted THEN octet_length(data::text) ELSE 0 END AS size
        FROM (
            SELECT *, type = ANY(%(types)s) AS wanted FROM {outbox}
            WHERE (lane, position) > (%(lane)s, %(scanned)s) AND (lane, position) <= (%(lane)s, %(through)s)
            AND position > %(scanned)s AND position <= %(through)s
            ORDER BY lane, position LIMIT %(rows)s
        ) AS page
    ) AS sized
) AS bounded
WHERE total - size < %(bytes)s ORDER BY lane, position
"""

END = 2**63 - 1


class Page(NamedTuple):
    """Rows of a lane: the wanted ones, the last position read, and the time up to which they are all."""

    events: list[CloudEvent]
    last: int
    time: str | None
    """RFC 3339, as everywhere in messages."""


def due(app: ContextConfig, consumers: list[str]) -> list[int]:
    """The subscriptions that have something to send, or to ask: their time has come, or their lane has a new row.

    It reads the subscriptions and the newest two partitions, whatever there is besides.
    """
    with connections[app.database].cursor() as cursor:
        cursor.execute(SUBSCRIPTIONS.format(**tables(app)), [consumers])
        rows = cursor.fetchall()
    chosen = {pk for pk, *_, is_due, _ in rows if is_due}
    idle: dict[int, tuple[int, int]] = {}
    last = rows[0][-1] if rows else 0
    for pk, lane, scanned, is_free, is_due, _ in rows:
        if is_due or not is_free or scanned >= last:
            continue
        after = skip_quiet(app, lane, scanned, last)
        if after is None:
            chosen.add(pk)
        else:
            idle[pk] = (lane, after)
    chosen |= _with_news(app, idle, last)
    return [pk for pk, *_ in rows if pk in chosen]


def _with_news(app: ContextConfig, idle: Mapping[int, tuple[int, int]], last: int) -> set[int]:
    """Those of subscriptions, each given as its lane and a position near the last, whose lane has a row after it."""
    if not idle:
        return set()
    lanes, after = zip(*idle.values(), strict=True)
    bounds = {"ids": list(idle), "lanes": list(lanes), "after": list(after), "low": min(after), "last": last}
    with connections[app.database].cursor() as cursor:
        cursor.execute(NEWS.format(**tables(app)), bounds)
        cursor.nextset()
        return {pk for (pk,) in cursor.fetchall()}


def read(app: ContextConfig, consumer: Consumer, subscription: Any, *, through: int | None = None) -> Page:
    """The rows after ``scanned``: up to the bounds of a batch, or all of them up to ``through``, where that is set.

    What was sent once is never cut again: the bounds, or the types that count, may be others by then.
    """
    with connections[app.database].cursor() as cursor:
        cursor.execute(
            PAGE.format(**tables(app)),
            {
                "types": list(consumer.types),
                "lane": subscription.lane,
                "scanned": subscription.scanned,
                "through": END if through is None else through,
                "rows": settings.RELAY_EVENTS if through is None else None,
                "bytes": settings.RELAY_BYTES if through is None else END,
            },
        )
        cursor.nextset()
        rows = cursor.fetchall()
    events = [
        cloud_event(
            source=app.label,
            position=position,
            type=type,
            key=key,
            data=msgspec.json.decode(data),
            headers=msgspec.json.decode(headers),
            time=time,
        )
        for position, time, _, type, key, data, headers in rows
        if data is not None
    ]
    if not rows:
        return Page(events, subscription.scanned, None)
    position, time, size, *_ = rows[-1]
    more = len(rows) >= settings.RELAY_EVENTS or size >= settings.RELAY_BYTES
    return Page(events, position, time if more else None)


def tables(app: ContextConfig) -> dict[str, str]:
    """The names of a producer's tables, for SQL."""
    return {
        "subscription": app.table("Subscription")._meta.db_table,
        "outbox": app.table("OutboxEvent")._meta.db_table,
    }
