"""Checking every invariant, and what came of it."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from shop.console.audit import claims, copies, orders, positions, readmodel, stock
from shop.console.audit.evidence import Evidence, gathered
from shop.console.audit.invariants import Invariant, NotAtRest
from shop.console.audit.snapshots import Row

INVARIANTS: tuple[Invariant, ...] = (
    stock.ledger,
    stock.reserved,
    stock.moved,
    stock.answered,
    stock.announced,
    copies.stock_items,
    claims.orders,
    orders.announced,
    orders.keys,
    orders.answers,
    orders.in_time,
    orders.decided,
    copies.products_announced,
    copies.members_announced,
    copies.product_copies,
    copies.member_copies,
    copies.member_names,
    readmodel.orders,
    readmodel.names,
    positions.positions,
    positions.skipped,
    positions.lanes,
    positions.in_time,
)

SHOWN = 20  # offending rows that are kept of an invariant; all are counted

PAUSE = 0.5  # seconds between two looks at whether the system is at rest


@dataclass(frozen=True)
class Result:
    """What came of one invariant. ``waiting``: it says something of a system at rest, and this one moves."""

    invariant: Invariant
    rows: list[Row]
    """The first offending rows."""
    count: int
    """Of all offending rows."""
    waiting: str
    seconds: float

    @property
    def state(self) -> str:
        """``ok``, ``broken`` or ``waiting``."""
        return "broken" if self.count else "waiting" if self.waiting else "ok"


@dataclass
class Report:
    """The results, and what stands beside them: dead letters and stopped lanes break nothing, but are told."""

    results: list[Result] = field(default_factory=list)
    letters: list[Row] = field(default_factory=list)
    stopped: list[Row] = field(default_factory=list)

    @property
    def broken(self) -> list[str]:
        """The names of the invariants that do not hold."""
        return [result.invariant.name for result in self.results if result.count]

    def as_json(self) -> dict[str, Any]:
        """For machines; values that JSON has no type for are to be written as text."""
        return {
            "ok": not self.broken,
            "broken": self.broken,
            "invariants": [
                {
                    "name": result.invariant.name,
                    "says": result.invariant.says,
                    "state": result.state,
                    "count": result.count,
                    "rows": result.rows,
                    "waiting": result.waiting,
                    "seconds": round(result.seconds, 3),
                }
                for result in self.results
            ],
            "dead_letters": self.letters,
            "stopped_lanes": self.stopped,
        }


def audit(*, before_each: Callable[[Invariant], None] = lambda invariant: None) -> Report:
    """Check every invariant against the databases as they are now.

    :param before_each: is told which invariant is checked next.
    :raises psycopg.OperationalError: if a database does not answer.
    """
    report = Report()
    with gathered() as evidence:
        report.letters, report.stopped = evidence.letters, evidence.stopped
        for invariant in INVARIANTS:
            before_each(invariant)
            report.results.append(_result(invariant, evidence))
    return report


def _result(invariant: Invariant, evidence: Evidence) -> Result:
    began = time.monotonic()
    rows: list[Row] = []
    count, waiting = 0, ""
    try:
        for count, row in enumerate(invariant.check(evidence), start=1):
            if count <= SHOWN:
                rows.append(row)
    except NotAtRest as moving:
        waiting = str(moving)
    return Result(invariant, rows, count, waiting, time.monotonic() - began)


def wait_until_at_rest(*, limit: float) -> dict[str, int]:
    """Wait at most ``limit`` seconds until no consumer has anything left to apply; what is under way then."""
    end = time.monotonic() + limit
    while True:
        with gathered() as evidence:
            under_way = evidence.under_way()
        if not under_way or time.monotonic() > end:
            return under_way
        time.sleep(PAUSE)
