"""Reading an outbox, lane by lane and page by page, through its index on (lane, position) and nothing else."""

from collections.abc import Collection, Mapping
from typing import NamedTuple

import msgspec
from django.conf import settings
from django.db import connections

from shop.messaging import models
from shop.messaging.batches import ANNULLED, CloudEvent, cloud_event
from shop.messaging.contexts import context
from shop.messaging.producer.quiet import remembered
from shop.setwise import arrays

# A lane's rows after ``scanned`` are compared and ordered by the pair (lane, position), and by the position alone
# for pruning, and never sorted: only the lane's index serves that, and no statistics can mislead the planner.
# With a plainer condition it expects to meet the lane's rows soon among all others, and a look at an idle lane
# scans the backlog of the busy ones; or it expects few, and sorts the whole backlog for each page.

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
            WHERE (lane, position) > (%(lane)s, %(after)s) AND (lane, position) <= (%(lane)s, %(through)s)
            AND position >= %(after)s + 1 AND position <= %(through)s
            ORDER BY lane, position LIMIT %(rows)s
        ) AS page
    ) AS sized
) AS bounded
WHERE total - size < %(bytes)s ORDER BY lane, position
"""

# Of events that are old enough, those whose key has a later event that undoes them: one index look-up for each key.
ANNULLED_KEYS = """
SELECT undone.position
FROM unnest(%(positions)s::bigint[], %(types)s::text[], %(keys)s::text[], %(times)s::text[])
     AS undone (position, type, key, time)
JOIN unnest(%(undoing)s::text[], %(undone)s::text[]) AS annuls (undoing, undone) ON annuls.undone = undone.type
WHERE undone.time::timestamptz < clock_timestamp() - %(recent)s * interval '1 second' AND EXISTS (
    SELECT FROM {outbox} AS e
    WHERE e.key = undone.key AND e.position > undone.position AND e.position > %(first)s AND e.position <= %(through)s
    AND e.type = annuls.undoing
)
"""

RECENT = 5  # seconds from its recording in which an event is not looked up for what undoes it

END = 2**63 - 1

LAST = "SELECT last_value FROM {outbox}_position"


class Page(NamedTuple):
    """A page of a lane: the wanted events, the last position read, and the time of the last row."""

    events: list[CloudEvent]
    last: int
    time: str | None
    """Of the last row read, RFC 3339; ``None`` if the page reaches the lane's end, and so is true as of now."""


def read(label: str, *, lane: int, types: Collection[str], after: int, through: int | None = None) -> Page:
    """Read a lane after a position: up to the bounds of a batch, or up to ``through``, if that is given.

    A batch that is sent again is read by ``through``: the bounds may have been changed since. Only the partitions
    between the next rows of the lane and the last position are looked at.
    """
    with connections[context(label).database].cursor() as cursor:
        cursor.execute(LAST.format(**tables(label)))
        (last,) = cursor.fetchone()
        cursor.execute(
            PAGE.format(**tables(label)),
            {
                "types": list(types),
                "lane": lane,
                "after": remembered(label, lane, after, last),
                "through": last if through is None else through,
                "rows": settings.RELAY_EVENTS if through is None else None,
                "bytes": settings.RELAY_BYTES if through is None else END,
            },
        )
        cursor.nextset()
        rows = cursor.fetchall()
    events = [
        cloud_event(
            source=label,
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
        return Page(events, after, None)
    position, time, size, *_ = rows[-1]
    more = len(rows) >= settings.RELAY_EVENTS or size >= settings.RELAY_BYTES
    return Page(events, position, time if more else None)


def mark_annulled(label: str, events: list[CloudEvent], annuls: Mapping[str, str], *, through: int) -> list[CloudEvent]:
    """Mark each event that a later one of its key, in the log already, undoes.

    One look-up for a page. Events of the last seconds are left out: they have not waited for an absent consumer.

    :param annuls: the type that is undone, by the type that undoes it.
    :param through: where the log ended just now: partitions beyond it are not looked into.
    """
    undone = [event for event in events if event["type"] in annuls.values()]
    if not undone:
        return events
    with connections[context(label).database].cursor() as cursor:
        first = int(undone[0]["id"])
        cursor.execute(
            ANNULLED_KEYS.format(**tables(label)),
            {
                "positions": arrays.of_plain(int(event["id"]) for event in undone),
                "types": arrays.of_text(event["type"] for event in undone),
                "keys": arrays.of_text(event["subject"] for event in undone),
                "times": arrays.of_text(event["time"] for event in undone),
                "undoing": arrays.of_text(annuls),
                "undone": arrays.of_text(annuls.values()),
                "first": first,
                "through": through,
                "recent": RECENT,
            },
        )
        annulled = {str(position) for (position,) in cursor.fetchall()}
    return [{**event, ANNULLED: True} if event["id"] in annulled else event for event in events]


def tables(label: str) -> dict[str, str]:
    """Return the names of a producer's tables, for SQL."""
    app = context(label)
    return {
        "subscription": app.table(models.Subscription)._meta.db_table,
        "outbox": app.table(models.OutboxEvent)._meta.db_table,
    }
