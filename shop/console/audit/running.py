"""Checks every invariant, and reports the results."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from shop.console.audit import campaigns, claims, copies, credit, letters, orders, positions, readmodel, stock
from shop.console.audit.evidence import EVERYONE, Evidence, GivenUp, Needs, gathered
from shop.console.audit.invariants import Family, Invariant, NotAtRest
from shop.console.audit.snapshots import Row, Sessions

FAMILIES: tuple[Family, ...] = (
    *stock.FAMILIES,
    *claims.FAMILIES,
    *credit.FAMILIES,
    *orders.FAMILIES,
    *copies.FAMILIES,
    *campaigns.FAMILIES,
    *readmodel.FAMILIES,
    *positions.FAMILIES,
)

INVARIANTS: tuple[Invariant, ...] = (
    *(invariant for family in FAMILIES for invariant in family.invariants),
    letters.discarded,
)

SHOWN = 20  # offending rows that are kept of an invariant; all are counted

EVERYTHING = Needs(state=EVERYONE, log=EVERYONE)

PAUSE = 0.5  # seconds between two looks at whether the system is at rest


@dataclass(frozen=True)
class Result:
    """The result of one invariant. ``waiting``: what is under way, if the invariant is about a system at rest."""

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
    """The results, and what stands beside them: dead letters and what is stopped break nothing, but are listed."""

    results: list[Result] = field(default_factory=list)
    letters: list[Row] = field(default_factory=list)
    stopped: list[Row] = field(default_factory=list)
    """Lanes that their consumer stopped."""
    stopped_subscriptions: list[Row] = field(default_factory=list)
    """Lanes that their producer stopped."""
    open_for: dict[str, float] = field(default_factory=dict)
    """Seconds for which each family's snapshots were open."""

    @property
    def broken(self) -> list[str]:
        """Return the names of the invariants that do not hold."""
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
            "stopped_subscriptions": self.stopped_subscriptions,
            "snapshot_seconds": {name: round(seconds, 3) for name, seconds in self.open_for.items()},
        }


def audit(*, before_each: Callable[[Invariant], None] = lambda invariant: None) -> Report:
    """Check every invariant against the databases as they are now.

    :param before_each: called with each invariant before it is checked.
    :raises psycopg.OperationalError: if a database does not answer.
    """
    report = Report()
    given_up: list[Row] = []
    with Sessions() as sessions:
        with gathered(letters.NEEDS, sessions, name="audit: letters") as evidence:
            report.letters, report.stopped = evidence.letters, evidence.stopped
            report.stopped_subscriptions = list(positions.stopped_subscriptions(evidence))
        for family in FAMILIES:
            began = time.monotonic()
            with gathered(family.needs, sessions, name=f"audit: {family.name}") as evidence:
                for invariant in family.invariants:
                    before_each(invariant)
                    report.results.append(_result(invariant, evidence, given_up))
            report.open_for[family.name] = time.monotonic() - began
    before_each(letters.discarded)
    report.results.append(Result(letters.discarded, given_up[:SHOWN], len(given_up), "", 0.0))
    return report


def _result(invariant: Invariant, evidence: Evidence, given_up: list[Row]) -> Result:
    began = time.monotonic()
    rows: list[Row] = []
    count, waiting = 0, ""
    try:
        for finding in invariant.check(evidence):
            if isinstance(finding, GivenUp):
                given_up.append(letters.of_letter(finding, invariant))
                continue
            count += 1
            if count <= SHOWN:
                rows.append(finding)
    except NotAtRest as moving:
        waiting = str(moving)
    return Result(invariant, rows, count, waiting, time.monotonic() - began)


def wait_until_at_rest(*, limit: float) -> dict[str, int]:
    """Wait at most ``limit`` seconds until no consumer has anything left to apply; return what is under way then."""
    end = time.monotonic() + limit
    while True:
        with Sessions() as sessions, gathered(EVERYTHING, sessions, name="rest") as evidence:
            under_way = evidence.under_way()
        if not under_way or time.monotonic() > end:
            return under_way
        time.sleep(PAUSE)
