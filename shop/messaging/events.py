"""What contexts say to each other: typed facts, in the past tense, under permanent wire names.

Pure: no Django, no Celery. An event is declared in its context's ``events.py``::

    @event("orders.order-confirmed")
    class OrderConfirmed(Event):
        order_id: UUID
        at: datetime

On the wire it is a CloudEvents 1.0 object in JSON. Field types decide how JSON is read back, so that
a UUID or a tuple survives the round trip. Fields that a reader does not know are ignored: a producer
may add fields, never rename or retype them.
"""

from collections.abc import Callable
from typing import Any, ClassVar, TypeVar, dataclass_transform

import msgspec


@dataclass_transform(frozen_default=True, kw_only_default=True)
class Event(msgspec.Struct, frozen=True, kw_only=True):
    """A fact about one aggregate. Its wire name is given by :func:`event`."""

    wire_name: ClassVar[str]


E = TypeVar("E", bound=Event)

_types: dict[str, type[Event]] = {}


def event(name: str) -> Callable[[type[E]], type[E]]:
    """Give an event class its permanent wire name.

    :raises ValueError: if another class already carries that name.
    """

    def register(cls: type[E]) -> type[E]:
        if name in _types:
            raise ValueError(f"two events are named {name!r}: {_types[name].__qualname__} and {cls.__qualname__}")
        cls.wire_name = name
        _types[name] = cls
        return cls

    return register


class UnknownEvent(LookupError):
    """No event of this name is declared here."""


def event_type(name: str) -> type[Event]:
    """The class that carries a wire name. :raises UnknownEvent: if there is none."""
    try:
        return _types[name]
    except KeyError:
        raise UnknownEvent(f"no event is named {name!r}") from None


def event_types() -> tuple[type[Event], ...]:
    """Every declared event, by wire name."""
    return tuple(_types[name] for name in sorted(_types))


def decode(name: str, data: Any) -> Event:
    """The event of that name from its JSON object, already parsed.

    :raises UnknownEvent: if the name is not declared.
    :raises msgspec.ValidationError: if a field is missing or of the wrong type.
    """
    return msgspec.convert(data, event_type(name))
