"""One key's events in every context, in time."""

from collections import deque
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from shop.messaging.contexts import publishers
from shop.messaging.producer.progress import trace


@dataclass(frozen=True)
class Traced:
    """An event of a trace."""

    context: str
    position: int
    lane: int
    type: str
    at: datetime
    """When it was recorded, by the clock of its context's database."""
    cause: tuple[str, int] | None
    """The event that it reacts to: its context and position."""
    gap: float | None
    """Milliseconds since the event before; None of the first."""

    def as_json(self) -> dict[str, Any]:
        """The names are those of ``trace --json``."""
        return {
            "context": self.context,
            "position": self.position,
            "lane": self.lane,
            "type": self.type,
            "at": self.at.isoformat(),
            "gap_ms": None if self.gap is None else round(self.gap, 3),
            "reaction_to": {"context": self.cause[0], "position": self.cause[1]} if self.cause else None,
        }


def trace_everywhere(key: str) -> list[Traced]:
    """A key's events in every outbox, oldest first.

    Each comes after the one that it reacts to and after its predecessor in the same outbox, whatever the databases'
    clocks say: where these differ, a gap may be negative.
    """
    queues = {app.label: deque(trace(app.label, key)) for app in publishers()}
    waiting = {(label, row.position) for label, rows in queues.items() for row in rows}
    traced: list[Traced] = []
    while waiting:
        heads = [(label, rows[0]) for label, rows in queues.items() if rows]
        ready = [head for head in heads if _cause(head[1]) not in waiting]
        label, row = min(ready or heads, key=lambda head: head[1].recorded_at)
        queues[label].popleft()
        waiting.remove((label, row.position))
        gap = (row.recorded_at - traced[-1].at).total_seconds() * 1000 if traced else None
        traced.append(
            Traced(
                context=label,
                position=row.position,
                lane=row.lane,
                type=row.type,
                at=row.recorded_at,
                cause=_cause(row),
                gap=gap,
            )
        )
    return traced


def _cause(row: Any) -> tuple[str, int] | None:
    source, _, position = row.headers.get("causation", "").partition("/")
    return (source, int(position)) if position.isdecimal() else None
