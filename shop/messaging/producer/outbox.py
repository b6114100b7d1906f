"""Appending to the outbox so that, in a lane, positions are in the order of the commits.

A bare sequence gives no such thing: a transaction that took position 5 may commit after one that took 6,
and a reader that has seen 6 would skip 5 for good. So an append takes the advisory lock of each lane that
it writes to, in ascending order, and holds it to the end of its transaction. The protocol is that of
message-db's ``acquire_lock`` just before the write, cut into lanes; how it waits is in
:mod:`shop.messaging.producer.locks`.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import NamedTuple
from uuid import UUID
from zlib import crc32

from django.conf import settings
from django.db import connections

from shop.messaging import models as messaging
from shop.messaging.contexts import context
from shop.messaging.events import Event
from shop.messaging.failpoints import Failpoint, failpoint
from shop.messaging.producer import locks, partitions
from shop.setwise import arrays


class Entry(NamedTuple):
    """An event about to be appended, under its aggregate's key."""

    key: str
    event: Event
    headers: Mapping[str, str]


INSERT = """
INSERT INTO {table} (lane, type, key, data, headers)
SELECT lane, type, key, data, headers
FROM unnest(%s::smallint[], %s::text[], %s::text[], %s::jsonb[], %s::jsonb[]) AS event (lane, type, key, data, headers)
"""

CREATE = "INSERT INTO {table} (id, lanes) VALUES (1, %s) ON CONFLICT DO NOTHING"

_lanes: dict[str, int] = {}


def lane_of(key: str, lanes: int) -> int:
    """The lane of an aggregate: crc32 of its key in UTF-8, modulo the number of lanes."""
    return crc32(key.encode()) % lanes


def lanes_of(label: str) -> int:
    """How many lanes a context's outbox has. The setting seeds it once, with the first append."""
    if label in _lanes:
        return _lanes[label]
    app = context(label)
    outbox = app.table(messaging.Outbox)
    lanes: int | None = outbox.objects.values_list("lanes", flat=True).first()
    if lanes is None:  # not remembered: the transaction may be rolled back
        with connections[app.database].cursor() as cursor:
            cursor.execute(CREATE.format(table=outbox._meta.db_table), [settings.OUTBOX_LANES])
        return int(outbox.objects.values_list("lanes", flat=True).get())
    return _lanes.setdefault(label, lanes)


def append(alias: str, label: str, entries: Sequence[Entry], *, patient: bool = True) -> None:
    """Append events in the order given; the last statement of the caller's transaction, and one round trip.

    :param patient: wait for lanes that are held, for as long as the connection's ``lock_timeout`` allows.
    :raises LaneHeld: if not patient, and a lane was not free within ``locks.PATIENCE``.
    :raises PartitionMissing: if there was no partition for the events; there is one now.
    """
    if not entries:
        return
    table = context(label).table(messaging.OutboxEvent)._meta.db_table
    count = lanes_of(label)
    lanes = [lane_of(entry.key, count) for entry in entries]
    columns = (
        arrays.of_plain(lanes),
        arrays.of_text(entry.event.wire_name for entry in entries),
        arrays.of_text(entry.key for entry in entries),
        arrays.of_json(entry.event for entry in entries),
        arrays.of_json(dict(entry.headers) for entry in entries),
    )
    with connections[alias].cursor() as cursor, partitions.made_on_demand(label):
        insert = INSERT.format(table=table)
        locks.execute_in_lanes(cursor, lock_class(table), sorted(set(lanes)), insert, columns, patient=patient)
    failpoint(Failpoint.APPENDED)


def id_in_free_lane(label: str, draw: Callable[[], UUID]) -> UUID:
    """Draw ids until one is the key of a lane that nobody holds at the moment; any id if all are held."""
    count = lanes_of(label)
    app = context(label)
    free = locks.free_lane(app.database, lock_class(app.table(messaging.OutboxEvent)._meta.db_table), count)
    while True:
        drawn = draw()
        if free is None or lane_of(str(drawn), count) == free:
            return drawn


@cache
def lock_class(table: str) -> int:
    """The first key of a lane's advisory lock (a signed 32-bit integer); the second is the lane."""
    return crc32(table.encode()) - 2**31
