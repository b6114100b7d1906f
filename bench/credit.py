"""Loading one credit account by its events alone, and by its snapshot and the events after it."""

import time
from collections.abc import Callable, Iterator
from statistics import median
from typing import NamedTuple

from django.core.management import call_command
from django.db import connections, transaction
from rich.console import Console

from shop.members.credit import stream
from shop.members.credit.account import Account, fold
from shop.members.models import SNAPSHOT_EVERY

LENGTHS = (100, 100_000)  # events of an account
REPEATS = 15

# Orders that are reserved and released, in turn, after the account was opened.
FILL = """
INSERT INTO members_streamevent (member_id, version, type, order_id, data, at)
SELECT %(member)s, version, type, order_id, data, now() FROM (
    SELECT version,
           CASE WHEN version = 1 THEN 'members.credit-opened' WHEN version %% 2 = 0 THEN 'members.credit-reserved'
                ELSE 'members.credit-released' END AS type,
           CASE WHEN version > 1 THEN md5(%(member)s || '-' || version / 2)::uuid END AS order_id
    FROM generate_series(1, %(events)s) AS version
) AS line CROSS JOIN LATERAL (
    SELECT jsonb_strip_nulls(jsonb_build_object(
        'member_id', %(member)s::bigint, 'version', version, 'limit', CASE WHEN version = 1 THEN 1000000 END,
        'amount', CASE WHEN version > 1 THEN 700 END, 'order_id', order_id)) AS data
) AS told
"""

ROW = 'INSERT INTO members_creditaccount (member_id, version, "limit", reserved, spent) VALUES (%s, %s, %s, %s, %s)'


class Loaded(NamedTuple):
    """The median times of loading one account."""

    events: int
    folded_ms: float
    """From version 0, all events, in pages."""
    locked_ms: float
    """As a batch and a command do: row, then the events after it, in two queries."""
    read_ms: float
    """As the API does, in one query."""
    tail: int
    """Events after the snapshot."""


def measure(console: Console) -> Iterator[Loaded]:
    """Fill two accounts with events, and load each."""
    console.print("migrating")
    call_command("migrate", verbosity=0)
    for member_id, events in enumerate(LENGTHS, 1):
        tail = (SNAPSHOT_EVERY - 1) // 2
        _fill(member_id, events, tail=tail)
        yield Loaded(
            events=events,
            folded_ms=_ms(lambda member_id=member_id: fold(Account(member_id=member_id), _events(member_id))),
            locked_ms=_ms(lambda member_id=member_id: _locked(member_id)),
            read_ms=_ms(lambda member_id=member_id: stream.read([member_id])),
            tail=tail,
        )


def _fill(member_id: int, events: int, *, tail: int) -> None:
    with connections["default"].cursor() as cursor:
        cursor.execute(FILL, {"member": member_id, "events": events})
        snapshot = stream.states_at([(member_id, events - tail)])[member_id, events - tail]
        cursor.execute(ROW, [member_id, snapshot.version, snapshot.limit, snapshot.reserved, snapshot.spent])
        cursor.execute("ANALYZE members_streamevent, members_creditaccount")


def _events(member_id: int) -> Iterator[stream.CreditEvent]:
    return (event for event, _ in stream.events_of(member_id))


def _locked(member_id: int) -> None:
    with transaction.atomic(using="default"):
        assert stream.Accounts(members=[member_id]).get(member_id)


def _ms(work: Callable[[], object]) -> float:
    times = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        work()
        times.append((time.perf_counter() - began) * 1000)
    return median(times)
