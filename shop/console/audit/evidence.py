"""What the audit looks at: beliefs, snapshots and logs, taken in the order that makes them comparable."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from shop.console.audit.snapshots import Row, Snapshot, snapshot
from shop.messaging.consumers import Consumer, consumers_of
from shop.messaging.contexts import ContextConfig, contexts, publishers

SUBSCRIPTIONS = "SELECT *, clock_timestamp() AS read_at FROM {label}_subscription ORDER BY consumer, lane"
CURSORS = "SELECT * FROM {label}_cursor WHERE consumer = %(label)s ORDER BY source, lane"
LETTERS = "SELECT source, key, position, type, error, discarded_at FROM {label}_deadletter WHERE consumer = %(label)s"
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

    def cursors(self, consumer: str, source: str) -> dict[str, Any]:
        """The parameters of :data:`UP_TO` for what the consumer has heard of the source."""
        positions = self.positions.get((consumer, source), {})
        return {"lanes": list(positions), "positions": list(positions.values())}

    def everything(self, source: str) -> dict[str, Any]:
        """The parameters of :data:`UP_TO` for a whole log."""
        lanes = list(self.heads[source])
        return {"lanes": lanes, "positions": [END] * len(lanes)}

    def left_out(self, consumer: str, source: str) -> set[str]:
        """Keys whose events wait in dead letters, or were given up."""
        return {
            letter["key"] for letter in self.letters if (letter["consumer"], letter["source"]) == (consumer, source)
        }

    def under_way(self) -> dict[str, int]:
        """Wanted events that a consumer has yet to apply, by ``source → consumer``; empty at rest."""
        found = {}
        for source in publishers():
            for consumer in consumers_of(source.label).values():
                if events := self._under_way(source, consumer):
                    found[f"{source.label} → {consumer.name}"] = events
        return found

    def _under_way(self, source: ContextConfig, consumer: Consumer) -> int:
        applied = dict.fromkeys(self.heads[source.label], 0)
        applied.update(self.positions.get((consumer.name, source.label), {}))
        bounds = {"lanes": list(applied), "positions": list(applied.values()), "types": list(consumer.types)}
        (row,) = self.log[source.label].rows(UNDER_WAY.format(label=source.label), bounds)
        events: int = row["events"]
        return events


@contextmanager
def gathered() -> Iterator[Evidence]:
    """Read in order: the producers' beliefs, each database's state, the logs."""
    producers = [app.label for app in publishers()]
    consumers = [app.label for app in contexts() if "cursor" in app.models]
    aliases = {app.label: app.database for app in contexts()}
    with ExitStack() as opened:
        subscriptions = {label: _subscriptions(label, aliases[label]) for label in producers}
        state = {label: opened.enter_context(snapshot(alias)) for label, alias in aliases.items()}
        cursors = [
            row for label in consumers for row in state[label].rows(CURSORS.format(label=label), {"label": label})
        ]
        letters = [
            {"consumer": label, **row}
            for label in consumers
            for row in state[label].rows(LETTERS.format(label=label), {"label": label})
        ]
        log = {label: opened.enter_context(snapshot(aliases[label])) for label in producers}
        yield Evidence(
            subscriptions=subscriptions,
            state=state,
            positions=_positions(cursors),
            stopped=[row for row in cursors if row["stopped"]],
            letters=letters,
            log=log,
            heads={label: _heads(label, log[label]) for label in producers},
        )


def _subscriptions(label: str, alias: str) -> list[Row]:
    with snapshot(alias) as earlier:
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
