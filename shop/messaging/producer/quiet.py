"""Remembers where in an outbox a quiet lane has no row, so that each process looks through that stretch only once.

``scanned`` never passes the last row read of its lane, so in a lane without news it stays where it is while the
others move the sequence on by partition after partition. A process looks through what lies in between once, a few
partitions to a statement, and remembers it. That no row turns up there later is certain: positions of a lane are
drawn under its lock, so while it is free, all of its rows up to the sequence's last value are committed.
"""

from itertools import pairwise

from django.db import connections

from shop.messaging import models
from shop.messaging.contexts import ContextConfig
from shop.messaging.producer import partitions
from shop.messaging.producer.outbox import lock_class

STRIDE = 8  # partitions that one statement looks through

# The last value is read before the lock is tried, and the lock is given back at once.
SETTLED = "SELECT last_value, pg_try_advisory_xact_lock(%s, %s) FROM {table}_position"

# Constant bounds: all partitions but these are pruned before planning, and never locked. (That no position lies
# between the end of one and the start of the next, only ``>=`` lets the planner see.)
ANY_ROW = """
SET LOCAL enable_sort = off;
SELECT EXISTS (
    SELECT FROM {table} WHERE (lane, position) > (%(lane)s, %(after)s) AND (lane, position) <= (%(lane)s, %(to)s)
    AND position >= %(after)s + 1 AND position <= %(to)s
)
"""

_quiet: dict[tuple[str, int], tuple[int, int]] = {}
"""(context, lane) -> (after, to]: the lane has no row in there."""


def is_near(position: int, last: int) -> bool:
    """Tell whether a position is in one of the newest two partitions, or just before them."""
    return position >= (last // partitions.SIZE - 1) * partitions.SIZE - 1


def remembered(label: str, lane: int, after: int, last: int) -> int:
    """Return the position up to which the lane is known to have no row after ``after``, without a query."""
    known_after, known_to = _quiet.get((label, lane), (after, after))
    if known_to > last:  # the sequence was set back: by a restore, to another history
        _quiet.pop((label, lane), None)
        return after
    return known_to if known_after <= after <= known_to else after


def skip_quiet(app: ContextConfig, lane: int, after: int, last: int) -> int | None:
    """Return the position after which the lane's next row is to be looked for; ``None`` if there is one before.

    It is ``after`` where that is near ``last``, the sequence's last value. Do not call it while holding locks.
    """
    known_to = remembered(app.label, lane, after, last)
    # Another thread may have forgotten it meanwhile.
    known_after = min(after, _quiet.get((app.label, lane), (after, after))[0]) if known_to != after else after
    if is_near(known_to, last):
        return known_to
    table: str = app.table(models.OutboxEvent)._meta.db_table
    with connections[app.database].cursor() as cursor:
        cursor.execute(SETTLED.format(table=table), [lock_class(table), lane])
        to, settled = cursor.fetchone()
        cursor.execute(partitions.EXISTING, [table])
        starts = sorted(int(name.rpartition("_p")[2]) * partitions.SIZE for (name,) in cursor.fetchall())
        between = [start - 1 for start in starts if known_to < start - 1 < to]
        bounds = [known_to, *between[STRIDE - 1 :: STRIDE], to]
        for low, high in pairwise(bounds):
            cursor.execute(ANY_ROW.format(table=table), {"lane": lane, "after": low, "to": high})
            cursor.nextset()
            if cursor.fetchone()[0]:
                return None
    if settled:
        _quiet[app.label, lane] = (known_after, to)
    return int(to)
