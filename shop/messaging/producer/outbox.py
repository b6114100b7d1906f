"""Appending to the outbox so that, in a lane, positions are in the order of the commits.

A bare sequence does not ensure that: a transaction that took position 5 may commit after one that took 6,
and a reader that has seen 6 would skip 5 for good. So an append takes the advisory lock of each lane that
it writes to, in ascending order, and holds it to the end of its transaction. The protocol is that of
message-db's ``acquire_lock`` just before the write, cut into lanes; how it waits is in
:mod:`shop.messaging.producer.locks`. What keeps positions unique after a restore is in
:mod:`shop.messaging.producer.fence`.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import NamedTuple
from uuid import UUID
from zlib import crc32

from django.db import connections

from shop.messaging.contexts import context
from shop.messaging.events import Event
from shop.messaging.failpoints import Failpoint, failpoint
from shop.messaging.producer import locks, partitions
from shop.messaging.producer.fence import SERVER, fence, present, tables
from shop.setwise import arrays


class Entry(NamedTuple):
    """An event about to be appended, under its aggregate's key."""

    key: str
    event: Event
    headers: Mapping[str, str]


# Inserts nothing if the server is not the one that the outbox was last written on.
INSERT = f"""
INSERT INTO {{events}} (lane, type, key, data, headers)
SELECT lane, type, key, data, headers
FROM unnest(%s::smallint[], %s::text[], %s::text[], %s::jsonb[], %s::jsonb[]) AS event (lane, type, key, data, headers)
WHERE (SELECT server FROM {{outbox}}) = (SELECT {SERVER})
"""

_lanes: dict[str, int] = {}


def lane_of(key: str, lanes: int) -> int:
    """Return the lane of an aggregate: crc32 of its key in UTF-8, modulo the number of lanes."""
    return crc32(key.encode()) % lanes


def lanes_of(label: str) -> int:
    """Return the number of lanes of a context's outbox: ``OUTBOX_LANES`` as it was when the outbox was created."""
    if label not in _lanes:
        _lanes[label] = present(label).lanes
    return _lanes[label]


def append(alias: str, label: str, entries: Sequence[Entry], *, patient: bool = True) -> None:
    """Append events in the order given; the last statement of the caller's transaction, and one round trip.

    :param patient: wait for lanes that are held, for as long as the connection's ``lock_timeout`` allows.
    :raises LaneHeld: if not patient, and a lane was not free within ``locks.PATIENCE``.
    :raises PartitionMissing: if there was no partition for the events; there is one now.
    """
    if not entries:
        return
    names, count = tables(label), lanes_of(label)
    lanes = [lane_of(entry.key, count) for entry in entries]
    columns = (
        arrays.of_plain(lanes),
        arrays.of_text(entry.event.wire_name for entry in entries),
        arrays.of_text(entry.key for entry in entries),
        arrays.of_json(entry.event for entry in entries),
        arrays.of_json(dict(entry.headers) for entry in entries),
    )
    with connections[alias].cursor() as cursor, partitions.made_on_demand(label):
        insert, lock = INSERT.format(**names), lock_class(names["events"])
        locks.execute_in_lanes(cursor, lock, sorted(set(lanes)), insert, columns, patient=patient)
        if cursor.rowcount != len(entries):
            fence(label)
            cursor.execute(insert, columns)
    failpoint(Failpoint.APPENDED)


def id_in_free_lane(label: str, draw: Callable[[], UUID]) -> UUID:
    """Draw ids until one is the key of a lane that nobody holds at the moment; any id if all are held."""
    count = lanes_of(label)
    free = locks.free_lane(context(label).database, lock_class(tables(label)["events"]), count)
    while True:
        drawn = draw()
        if free is None or lane_of(str(drawn), count) == free:
            return drawn


@cache
def lock_class(table: str) -> int:
    """Return the first key of a lane's advisory lock (a signed 32-bit integer); the second is the lane."""
    return crc32(table.encode()) - 2**31
