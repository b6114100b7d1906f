"""Locks lanes so that whoever waits for one holds no other: a frozen process stops only its own lane.

``lock_timeout`` bounds each wait. It is the connection's, which also bounds the whole of a wait here; within that,
an append to several lanes waits ``PATIENCE`` for each. Where one takes longer, the append gives back what it has
(a savepoint), waits for that one alone, gives it back too, and starts over with all of them and twice the patience:
the lane came free, so its holder is not frozen. Trying for all at once, or always with the same patience, would
starve it behind appends to single lanes.
"""

import random
import time
from collections.abc import Sequence
from typing import Any

from django.db import Error, OperationalError, connections, transaction

from shop.messaging.sqlstates import lock_timed_out

PATIENCE = 100  # milliseconds that an append to several lanes waits for each of them, at first
PATIENCE_LIMIT = 6400  # milliseconds that it waits for each at most

# A deferred foreign key would lock rows at commit, behind the lanes. It stands before the savepoint, whose
# rollback would undo it.
CONSTRAINTS = "SET CONSTRAINTS ALL IMMEDIATE;"
SAVEPOINT = "SAVEPOINT lanes;"
GIVE_BACK = "ROLLBACK TO SAVEPOINT lanes;"

WAIT = "SELECT pg_advisory_xact_lock(%s, lane) FROM unnest(%s::int[]) AS lane;"

# The connection's own limit is kept and put back: the wait alone is bounded, and not what comes after it.
WAIT_BRIEFLY = f"""
SELECT set_config('shop.lock_timeout', current_setting('lock_timeout'), true), set_config('lock_timeout', %s, true);
{WAIT}
RELEASE SAVEPOINT lanes;
SELECT set_config('lock_timeout', current_setting('shop.lock_timeout'), true);
"""

HELD = "SELECT lane FROM unnest(%s::int[]) AS lane WHERE NOT pg_try_advisory_xact_lock(%s, lane) LIMIT 1"

FREE = "SELECT lane FROM unnest(%s::int[]) AS lane WHERE pg_try_advisory_xact_lock(%s, lane) LIMIT 1"

WAIT_ALONE = "SELECT set_config('lock_timeout', %s, true); SELECT pg_advisory_xact_lock(%s, %s)"

LIMIT = "SELECT setting::int FROM pg_settings WHERE name = 'lock_timeout'"  # milliseconds; 0: none


class LaneHeld(OperationalError):
    """Another transaction holds the lane. Roll back, then try again in another lane, or later."""


def execute_in_lanes(
    cursor: Any, lock: int, lanes: Sequence[int], statement: str, parameters: Sequence[Any], *, patient: bool
) -> None:
    """Lock ``lanes``, given in ascending order, to the end of the transaction, then execute ``statement``.

    One round trip, unless a lane is held for longer than ``PATIENCE``. The cursor is left at the statement's result.

    :param lock: the first key of the advisory locks; the second is the lane.
    :param patient: wait for as long as the connection's ``lock_timeout`` allows.
    :raises LaneHeld: if not patient, and a lane was not free within ``PATIENCE``.
    :raises OperationalError: if patient, and it was not free within ``lock_timeout``.
    """
    if patient and len(lanes) == 1:
        cursor.execute(CONSTRAINTS + WAIT + statement, [lock, list(lanes), *parameters])
        _to_last_result(cursor)
        return
    briefly = CONSTRAINTS + SAVEPOINT + WAIT_BRIEFLY + statement
    try:
        cursor.execute(briefly, [f"{PATIENCE}ms", lock, list(lanes), *parameters])
    except OperationalError as error:
        _give_back(cursor, error)
        if not patient:
            raise LaneHeld(f"one of the lanes {lanes} is held by another transaction") from error
        _begin_anew(cursor, lock, lanes, statement, parameters)
    _to_last_result(cursor)


def _to_last_result(cursor: Any) -> None:
    while cursor.nextset():
        pass


def free_lane(alias: str, lock: int, lanes: int) -> int | None:
    """Find a lane that nobody holds, or that comes free within ``PATIENCE``; ``None`` if there is none.

    The search starts at a random lane, and keeps no lock.
    """
    first = random.randrange(lanes)
    candidates = [(first + number) % lanes for number in range(lanes)]
    with connections[alias].cursor() as cursor:
        cursor.execute(FREE, [candidates, lock])
        if row := cursor.fetchone():
            return int(row[0])
    for lane in candidates:
        try:
            with transaction.atomic(using=alias), connections[alias].cursor() as cursor:
                cursor.execute(WAIT_ALONE, [f"{PATIENCE}ms", lock, lane])
            return lane
        except OperationalError as error:
            if not lock_timed_out(error):
                raise
    return None


def _begin_anew(cursor: Any, lock: int, lanes: Sequence[int], statement: str, parameters: Sequence[Any]) -> None:
    cursor.execute(LIMIT)
    limit = cursor.fetchone()[0] or float("inf")
    end = time.monotonic() + (limit - PATIENCE) / 1000
    patience = PATIENCE
    while True:
        _wait_for_one(cursor, lock, lanes, end)
        # It came free, so nobody is frozen, only many wait: with the same patience it would starve behind them.
        patience = min(2 * patience, PATIENCE_LIMIT)
        try:
            cursor.execute(GIVE_BACK + WAIT_BRIEFLY + statement, [f"{patience}ms", lock, list(lanes), *parameters])
        except OperationalError as error:
            _give_back(cursor, error)
            if time.monotonic() > end:
                raise
        else:
            return


def _wait_for_one(cursor: Any, lock: int, lanes: Sequence[int], end: float) -> None:
    """Wait until the first lane that is held comes free, while holding none. The next statement gives it back."""
    cursor.execute(HELD, [list(lanes), lock])
    held = cursor.fetchone()
    cursor.execute(GIVE_BACK)
    if held is not None:
        left = min(max(1, round((end - time.monotonic()) * 1000)), 2**31 - 1) if end != float("inf") else 0
        cursor.execute(WAIT_ALONE, [f"{left}ms", lock, held[0]])


def _give_back(cursor: Any, error: OperationalError) -> None:
    """Release what was locked since the savepoint. :raises OperationalError: if it was no lane that was waited for."""
    if not lock_timed_out(error):
        raise error
    try:
        cursor.execute(GIVE_BACK)
    except Error:  # there is no such savepoint: constraints came before it, and the statement comes after it
        raise error from error.__cause__
