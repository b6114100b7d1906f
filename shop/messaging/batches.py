"""A batch: the wanted events of one lane between two positions, as a message and as seen by a consumer."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import MISSING, dataclass, fields
from datetime import datetime
from itertools import pairwise
from typing import Annotated, Any, NamedTuple, Self, TypeVar
from uuid import UUID

import msgspec
from msgspec import Meta

from shop.messaging.events import Event, decode
from shop.messaging.headers import because_of, reacting_to

E = TypeVar("E", bound=Event)

CloudEvent = Mapping[str, Any]
"""CloudEvents 1.0 in JSON; ``id`` is the position, ``subject`` the aggregate's key."""

Position = Annotated[int, Meta(ge=0, le=2**63 - 1)]
Lane = Annotated[int, Meta(ge=0, le=2**15 - 1)]
Generation = Annotated[int, Meta(ge=1, le=2**31 - 1)]

ATTRIBUTES = frozenset({"id", "source", "type", "subject", "time", "data"})
"""What every event of a batch has; headers come beside them."""

ANNULLED = "annulled"
"""The attribute of an event that a later one of its key undoes."""


class Identity(NamedTuple):
    """Which outbox, and which part of its history: see :class:`shop.messaging.models.Outbox`."""

    outbox: UUID
    epoch: int


class Message:
    """What travels between a relay and a consumer.

    The fields without a default are those of 1.0, which refuses arguments that it does not know. So the others travel
    as extensions, in the headers of the Celery message. Fields that are not known here are ignored.
    """

    __slots__ = ()

    @property
    def arguments(self) -> dict[str, Any]:
        """The Celery task's arguments. (``dataclasses.asdict`` would copy every event.)"""
        return {field.name: getattr(self, field.name) for field in fields(self) if field.default is MISSING}  # type: ignore[arg-type]

    @property
    def extensions(self) -> dict[str, Any]:
        """The fields that travel in the message's headers."""
        return {field.name: getattr(self, field.name) for field in fields(self) if field.default is not MISSING}  # type: ignore[arg-type]

    @classmethod
    def read(cls, message: Mapping[str, Any]) -> Self:
        """Read a message as it came, whole or not at all: what is half right would be parked, or stop its lane.

        :raises msgspec.ValidationError: if a field is not what it has to be, or they contradict each other.
        """
        return msgspec.convert(message, type=cls)


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchMessage(Message):
    """What the relay sends: the wanted ``events`` of a lane with ``after`` < position ≤ ``through``.

    ``types`` is what it was filtered by. ``time`` (RFC 3339): everything that the lane held before then is
    covered by ``through``; ``None`` when a batch is sent again. A batch may be empty: it asks an idle consumer
    for its cursor, or moves it over events that it does not want.
    """

    id: str
    source: str
    lane: Lane
    types: Sequence[str]
    after: Position
    through: Position
    time: str | None
    events: Sequence[CloudEvent]

    generation: Generation = 1
    outbox: str | None = None
    epoch: Position | None = None
    fences: Sequence[tuple[Position, Position]] = ()
    """(first, last kept) of each fence after ``after``, oldest first."""
    lanes: Lane | None = None
    """How many lanes the source's outbox has."""

    def __post_init__(self) -> None:
        """:raises ValueError: if it contradicts itself."""
        UUID(self.id), UUID(self.outbox or self.id)
        if self.time is not None and datetime.fromisoformat(self.time).tzinfo is None:
            raise ValueError(f"the time {self.time!r} has no offset")
        if self.lanes is not None and self.lanes <= self.lane:
            raise ValueError(f"there is no lane {self.lane} among {self.lanes}")
        if any(not event.keys() >= ATTRIBUTES for event in self.events):
            raise ValueError(f"an event lacks one of {', '.join(sorted(ATTRIBUTES))}")
        positions = [self.after, *map(position_of, self.events)]
        if self.through < positions[-1] or any(later <= earlier for earlier, later in pairwise(positions)):
            raise ValueError(f"its events are not in order after {self.after} and up to {self.through}")

    @property
    def uuid(self) -> UUID:
        """The batch's id."""
        return UUID(self.id)

    @property
    def identity(self) -> Identity | None:
        """The outbox that it comes from; ``None`` from a relay of 1.0."""
        return None if self.outbox is None or self.epoch is None else Identity(UUID(self.outbox), self.epoch)


@dataclass(frozen=True, slots=True, kw_only=True)
class Acknowledgement(Message):
    """What a consumer answers: how far its ``cursor`` is, or why it took nothing.

    It names the batch that it answers, and the outbox that sent the batch.
    """

    source: str
    consumer: str
    lane: Lane
    batch: str
    cursor: Position

    generation: Generation = 1
    outbox: str | None = None
    epoch: Position | None = None
    refused: str = ""
    """Why the consumer takes nothing from this outbox."""
    gone: bool = False
    """Whether the generation of the consumer was abandoned."""

    def __post_init__(self) -> None:
        """:raises ValueError: if it names no batch."""
        UUID(self.batch)


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriptionRequest(Message):
    """What a consumer asks of a source: to be sent its log, by a generation that it began or lanes that it set back."""

    source: str
    consumer: str
    generation: Generation
    at_once: bool = False


class Received(NamedTuple):
    """One event of a batch, decoded."""

    position: int
    key: str
    data: Event
    headers: Mapping[str, str]
    annulled: bool
    """Whether a later event of its key, in the log already when this one was sent, undoes it: see ``consumes``."""


def cloud_event(
    *, source: str, position: int, type: str, key: str, data: Any, headers: Mapping[str, str], time: str
) -> CloudEvent:
    """Return an outbox row as it travels."""
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

    def __init__(self, events: Sequence[CloudEvent], *, generation: int = 1) -> None:
        """Decode.

        :raises UnknownEvent: :raises msgspec.ValidationError: if one of them cannot be decoded.
        """
        self.events = [_received(event) for event in events]
        self.generation = generation

    def __len__(self) -> int:
        return len(self.events)

    def __iter__(self) -> Iterator[Received]:
        with because_of({}):
            for event in self.events:
                reacting_to(event.headers)
                yield event

    def of(self, *types: type[E]) -> list[E]:
        """Return the events of the given types, decoded and in order: for loading what the batch touches."""
        return [event.data for event in self.events if isinstance(event.data, types)]


def position_of(event: CloudEvent) -> int:
    """Return the position of an event in its source's outbox."""
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
        annulled=bool(event.get(ANNULLED)),
    )
