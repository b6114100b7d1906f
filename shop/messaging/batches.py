"""A batch: the wanted events of one lane between two positions, as a message and as seen by a consumer."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, TypeVar

from shop.messaging.events import Event, decode
from shop.messaging.headers import because_of, reacting_to

E = TypeVar("E", bound=Event)

CloudEvent = Mapping[str, Any]
"""CloudEvents 1.0 in JSON; ``id`` is the position, ``subject`` the aggregate's key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchMessage:
    """What the relay sends: the wanted ``events`` of a lane with ``after`` < position ≤ ``through``.

    ``types`` is what it was filtered by. ``time`` (RFC 3339): everything that the lane held before then is
    covered by ``through``; not said when a batch is sent again. A batch may be empty: it asks an idle
    consumer for its cursor, or moves it over events that it does not want.
    """

    id: str
    source: str
    lane: int
    types: Sequence[str]
    after: int
    through: int
    time: str | None
    events: Sequence[CloudEvent]

    def as_arguments(self) -> dict[str, Any]:
        """The Celery task's arguments. (``dataclasses.asdict`` would copy every event.)"""
        return {field.name: getattr(self, field.name) for field in fields(self)}


@dataclass(frozen=True, slots=True)
class Received:
    """One event of a batch, decoded."""

    position: int
    key: str
    data: Event
    headers: Mapping[str, str]


def cloud_event(
    *, source: str, position: int, type: str, key: str, data: Any, headers: Mapping[str, str], time: str
) -> CloudEvent:
    """An outbox row as it travels."""
    return {
        "specversion": "1.0",
        "id": str(position),
        "source": source,
        "type": type,
        "subject": key,
        "time": time,
        "data": data,
        **headers,
    }


class Batch:
    """Events to apply, in order. Recording while iterating notes which event was the cause."""

    def __init__(self, events: Sequence[CloudEvent]) -> None:
        """Decode.

        :raises UnknownEvent: :raises msgspec.ValidationError: if one of them cannot be decoded.
        """
        self.events = [_received(event) for event in events]

    def __len__(self) -> int:
        return len(self.events)

    def __iter__(self) -> Iterator[Received]:
        with because_of({}):
            for event in self.events:
                reacting_to(event.headers)
                yield event

    def of(self, *types: type[E]) -> list[E]:
        """The facts of the given types alone, in order: for loading what the batch touches."""
        return [event.data for event in self.events if isinstance(event.data, types)]


def position_of(event: CloudEvent) -> int:
    """The position of an event in its source's outbox."""
    return int(event["id"])


def _received(event: CloudEvent) -> Received:
    headers = {"causation": f"{event['source']}/{event['id']}"}
    if "traceparent" in event:
        headers["traceparent"] = event["traceparent"]
    return Received(
        position=position_of(event),
        key=event["subject"],
        data=decode(event["type"], event["data"]),
        headers=headers,
    )
