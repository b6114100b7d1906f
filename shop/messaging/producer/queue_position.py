"""Counts an aggregate's place in its lane's queue, from the log and the consumer's position: nothing else keeps it."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from django.db import connections

from shop.messaging.contexts import context
from shop.messaging.events import Event
from shop.messaging.producer.outbox import lane_of, lanes_of
from shop.messaging.producer.quiet import skip_quiet
from shop.messaging.producer.reading import tables

CAP = 1_000  # events counted ahead of an aggregate, at most
RATE_ROWS = 100  # newest events of a lane, from which its rate is computed
RATE_REACH = 10_000  # positions, of all lanes, among which they are looked for


class Place(NamedTuple):
    """Where an aggregate stands in its lane's queue."""

    position: int
    """Events of its lane ahead of it that the consumer has yet to acknowledge; 0: its own is next, or done."""
    eta_seconds: int | None
    """Until it is answered, at the lane's recent rate; ``None`` while nothing was answered recently."""


# Up to ``scanned`` the consumer has acknowledged every event of the lane, or did not want it.
BOUNDS = """
SELECT (SELECT last_value FROM {outbox}_position),
       coalesce((
           SELECT scanned FROM {subscription} WHERE consumer = %(consumer)s AND generation = 1 AND lane = %(lane)s
       ), 0)
"""

# An aggregate's events are all in one lane, and its first opens it. The rate is that of the answers, since the
# oldest of the newest events. Bounds that are constants prune all partitions but one or two before planning.
PLACE = """
SELECT ahead.events, ahead.opened, newest.answered / greatest(newest.seconds, 0.001) AS rate
FROM (
    SELECT count(*) AS events, count(*) FILTER (WHERE type = %(opens)s) AS opened FROM (
        SELECT type FROM {outbox}
        WHERE lane = %(lane)s AND position > %(scanned)s AND position <= %(head)s
          AND position < (
              SELECT min(position) FROM {outbox}
              WHERE key = %(key)s AND position > %(scanned)s AND position <= %(head)s
          )
        LIMIT %(cap)s
    ) AS counted
) AS ahead, (
    SELECT count(*) FILTER (WHERE type = ANY(%(answers)s)) AS answered,
           extract(epoch FROM clock_timestamp() - min(recorded_at))::float AS seconds
    FROM (
        SELECT type, recorded_at FROM {outbox}
        WHERE lane = %(lane)s AND position > %(head)s - %(reach)s AND position <= %(head)s
        ORDER BY position DESC LIMIT %(rows)s
    ) AS timed
) AS newest
"""


def place_in_queue(label: str, key: str, *, consumer: str, opens: type[Event], answers: Sequence[type[Event]]) -> Place:
    """Count what is ahead of a key in its lane, up to :data:`CAP`.

    :param opens: the event that each aggregate begins with, and that the consumer answers.
    :param answers: the events of the same context that say that an aggregate was answered.
    """
    app = context(label)
    lane = lane_of(key, lanes_of(label))
    parameters: dict[str, Any] = {
        "lane": lane,
        "key": key,
        "consumer": consumer,
        "opens": opens.wire_name,
        "answers": [answer.wire_name for answer in answers],
        "cap": CAP,
        "rows": RATE_ROWS,
        "reach": RATE_REACH,
    }
    with connections[app.database].cursor() as cursor:
        cursor.execute(BOUNDS.format(**tables(label)), parameters)
        head, scanned = cursor.fetchone()
        # In a lane that was quiet for long, ``scanned`` is far back; what lies between is not counted each time.
        parameters |= {"head": head, "scanned": skip_quiet(app, lane, scanned, head) or scanned}
        cursor.execute(PLACE.format(**tables(label)), parameters)
        position, opened_ahead, rate = cursor.fetchone()
    return Place(position, math.ceil((opened_ahead + 1) / rate) if rate else None)
