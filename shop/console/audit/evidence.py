"""Gathers what a family of invariants compares: beliefs, snapshots and logs, in an order that allows comparing."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

from shop.console.audit.snapshots import Row, Sessions, Snapshot
from shop.messaging.consumers import Consumer, consumers_of
from shop.messaging.contexts import ContextConfig, contexts, publishers

SUBSCRIPTIONS = "SELECT *, clock_timestamp() AS read_at FROM {label}_subscription ORDER BY consumer, generation, lane"
CURSORS = "SELECT * FROM {label}_cursor WHERE generation = 1 ORDER BY consumer, source, lane"
LETTERS = """
SELECT consumer, source, key, position, type, error, discarded_at, discarded_by FROM {label}_deadletter
WHERE generation = 1 ORDER BY consumer, source, position
"""
FENCES = "SELECT first, last_kept FROM {label}_fence ORDER BY first"
OUTBOX = "SELECT identity, epoch, lanes FROM {label}_outbox"
LANES = "SELECT lanes FROM {label}_outbox"
HEADS = """
SELECT lane, coalesce((SELECT max(position) FROM {label}_outboxevent e WHERE e.lane = lanes.lane), 0) AS head
FROM generate_series(0, %(lanes)s - 1) AS lanes (lane)
"""
UNDER_WAY = """
SELECT count(*) AS events FROM {label}_outboxevent AS e
JOIN unnest(%(lanes)s::int[], %(positions)s::bigint[]) AS cursor (in_lane, up_to)
ON e.lane = in_lane AND e.position > up_to
WHERE e.type = ANY(%(types)s)
"""

UP_TO = """
JOIN unnest(%(lanes)s::int[], %(positions)s::bigint[]) AS cursor (in_lane, up_to)
ON e.lane = in_lane AND e.position <= up_to
"""
"""Restricts a log ``e`` to what is at or below some cursors: see :meth:`Evidence.cursors`."""

END = 2**63 - 1


EVERYONE = ("*",)
"""Every context that has what is needed."""


@dataclass(frozen=True, kw_only=True)
class Needs:
    """The contexts whose databases are read; nothing else is opened."""

    state: Sequence[str] = ()
    log: Sequence[str] = ()
    """Outboxes to read later than every state."""
    beliefs: bool = False
    """Whether to read, before all else, what every producer believes of its consumers."""


class GivenUp(NamedTuple):
    """A finding that is put down to an event that an operator discarded."""

    letter: Row
    row: Row


Finding = Row | GivenUp


@dataclass(frozen=True)
class Evidence:
    """``state`` and ``log`` by context; a log is read later than every state."""

    subscriptions: Mapping[str, list[Row]]
    """By producer."""
    state: Mapping[str, Snapshot]
    positions: Mapping[tuple[str, str], Mapping[int, int]]
    """By (consumer, source): cursors by lane."""
    stopped: list[Row]
    """Cursors of lanes that are stopped."""
    letters: list[Row]
    log: Mapping[str, Snapshot]
    heads: Mapping[str, Mapping[int, int]]
    """By producer: the last position of each lane."""
    fences: Mapping[str, list[Row]]
    """By producer: its fences, oldest first."""
    outboxes: Mapping[str, Row]
    """By producer: identity, epoch and number of lanes, where the outbox is made already."""
    cursor_rows: list[Row]
    """Of the first generations."""

    def cursors(self, consumer: str, source: str) -> dict[str, Any]:
        """Return the parameters of :data:`UP_TO` for what the consumer has applied of the source."""
        positions = self.positions.get((consumer, source), {})
        return {"lanes": list(positions), "positions": list(positions.values())}

    def everything(self, source: str) -> dict[str, Any]:
        """Return the parameters of :data:`UP_TO` for a whole log, as it is in the snapshot of its context's state."""
        (row,) = self.state[source].rows(LANES.format(label=source)) or [{"lanes": 0}]
        return {"lanes": list(range(row["lanes"])), "positions": [END] * row["lanes"]}

    def beside_letters(self, differing: Iterable[tuple[str, Row]], *pairs: tuple[str, str]) -> Iterator[Finding]:
        """Sort findings, given by key, by the dead letters of some (consumer, source).

        Keys whose events wait are behind their cursor: their findings are dropped. Those of a key of which an event
        was discarded are put down to that event, the first if there are several.
        """
        letters = [letter for letter in self.letters if (letter["consumer"], letter["source"]) in pairs]
        waiting = {letter["key"] for letter in letters if letter["discarded_at"] is None}
        discarded = {letter["key"]: letter for letter in reversed(letters) if letter["discarded_at"] is not None}
        for key, row in differing:
            if key in discarded and key not in waiting:
                yield GivenUp(discarded[key], row)
            elif key not in waiting:
                yield row

    def under_way(self) -> dict[str, int]:
        """Count the wanted events that are yet to be applied, by ``source → consumer``; empty at rest."""
        events_of = {}
        for source in publishers():
            for consumer in consumers_of(source.label).values():
                if events := self._under_way(source, consumer):
                    events_of[f"{source.label} → {consumer.name}"] = events
        return events_of

    def _under_way(self, source: ContextConfig, consumer: Consumer) -> int:
        applied = dict.fromkeys(self.heads[source.label], 0)
        applied.update(self.positions.get((consumer.name, source.label), {}))
        bounds = {"lanes": list(applied), "positions": list(applied.values()), "types": list(consumer.types)}
        (row,) = self.log[source.label].rows(UNDER_WAY.format(label=source.label), bounds)
        events: int = row["events"]
        return events


@contextmanager
def gathered(needs: Needs, sessions: Sessions, *, name: str) -> Iterator[Evidence]:
    """Read in order: the producers' beliefs, each database's state, the logs. All is let go at the end.

    :param name: the application's name, as the server shows it.
    """
    aliases = {app.label: app.database for app in contexts()}
    producers = [app.label for app in publishers()]
    consumers = [app.label for app in contexts() if "cursor" in app.models]
    states = consumers if needs.state == EVERYONE else needs.state
    logs = producers if needs.log == EVERYONE else needs.log
    with ExitStack() as opened:
        believing = producers if needs.beliefs else ()
        subscriptions = {label: _subscriptions(label, sessions.snapshot(aliases[label], name)) for label in believing}
        state = {label: opened.enter_context(sessions.snapshot(aliases[label], name)) for label in states}
        consuming = {label: state[label] for label in states if label in consumers}
        cursors = [row for label, seen in consuming.items() for row in seen.rows(CURSORS.format(label=label))]
        letters = [row for label, seen in consuming.items() for row in seen.rows(LETTERS.format(label=label))]
        log = {label: opened.enter_context(sessions.snapshot(aliases[label], name)) for label in logs}
        yield Evidence(
            subscriptions=subscriptions,
            state=state,
            positions=_positions(cursors),
            stopped=[row for row in cursors if row["stopped"]],
            letters=letters,
            log=log,
            heads={label: _heads(label, log[label]) for label in logs},
            fences={label: log[label].rows(FENCES.format(label=label)) for label in logs},
            outboxes={label: row for label in logs for row in log[label].rows(OUTBOX.format(label=label))},
            cursor_rows=cursors,
        )


def _subscriptions(label: str, taken: AbstractContextManager[Snapshot]) -> list[Row]:
    with taken as earlier:
        return earlier.rows(SUBSCRIPTIONS.format(label=label))


def _positions(cursors: list[Row]) -> dict[tuple[str, str], dict[int, int]]:
    positions: dict[tuple[str, str], dict[int, int]] = {}
    for row in cursors:
        positions.setdefault((row["consumer"], row["source"]), {})[row["lane"]] = row["position"]
    return positions


def _heads(label: str, log: Snapshot) -> dict[int, int]:
    lanes = log.rows(LANES.format(label=label))
    if not lanes:
        return {}
    return {row["lane"]: row["head"] for row in log.rows(HEADS.format(label=label), {"lanes": lanes[0]["lanes"]})}
