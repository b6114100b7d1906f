"""What happened to one aggregate, as the admin shows it: its events in time, and how far each consumer is."""

from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from django.utils.safestring import mark_safe

from shop.admin.shown import NOTHING, Panel, badge, list_link, moment, page_link
from shop.messaging.producer.progress import Progress, State, trace

COLOURS = {State.WAITING: "warning", State.SENT: "info", State.ACKNOWLEDGED: "success", State.NOT_WANTED: ""}


def states(row: Any) -> str:
    """Return an event's state for each consumer, as badges."""
    parts = [f"{name} {badge(str(state), COLOURS[state])}" for name, state in row.states.items()]
    return mark_safe(f'<div class="lines">{"<br>".join(parts)}</div>') if parts else NOTHING  # noqa: S308 (names and badges are our own)


def cause_link(headers: dict[str, str]) -> str:
    """Return a link to the event that an event reacts to."""
    source, _, position = headers.get("causation", "").partition("/")
    return page_link(f"{source}_outboxevent", position, f"{source} #{position}") if position else NOTHING


def timeline(label: str, key: str, *, title: str = "Events", moments: Sequence[tuple[str, Any]] = ()) -> Panel:
    """What happened to an aggregate, in time: the ``moments`` (words, when) given, and its events, with their states.

    :param label: the context whose outbox has the key's events.
    """
    progress = Progress(label)
    rows = [(at, 0, [moment(at), badge(text, "primary"), "", "", "", "", ""]) for text, at in moments]
    for event in trace(label, key):
        event.states = progress.of(event)
        position = page_link(f"{label}_outboxevent", event.pk)
        cells = [moment(event.recorded_at), event.type, position, event.lane, cause_link(event.headers)]
        traceparent = event.headers.get("traceparent", "")
        rows.append((event.recorded_at, event.pk, [*cells, traceparent[3:35] or NOTHING, states(event)]))
    return Panel(
        title=title,
        headers=("Time (UTC)", "What", "Position", "Lane", "Reaction to", "Trace", "Consumers"),
        rows=[cells for _, _, cells in sorted(rows, key=lambda row: row[:2])],
        empty="No event of this key is in the outbox.",
    )


def events_of_key(label: str, key: str, text: str = "Its events in the outbox") -> str:
    """Return a link to a key's events in a context's outbox."""
    return list_link(f"{label}_outboxevent", f"?key={quote(key)}", text)
