"""What contexts announce to each other: typed facts, in the past tense, under permanent wire names.

Pure: no Django, no Celery. An event is declared in its context's ``events.py``::

    @event("orders.order-confirmed")
    class OrderConfirmed(Event):
        order_id: UUID
        at: datetime

On the wire it is a CloudEvents 1.0 object in JSON. Field types decide how JSON is read back, so that
a UUID or a tuple survives the round trip. Fields that a reader does not know are ignored: a producer
may add fields, never rename or retype them.

What a field may *hold* grows too: new reasons are added. So a field with several shapes, or a fixed set of
values, is left undecoded in the event (``Mapping[str, Any]``, ``str``); a consumer that uses it reads it by a
function beside the event, which has an answer for what it does not know, and one that does not use it never
notices. :func:`event` refuses a type that would refuse a producer's news.
"""

from collections.abc import Callable, Iterator
from typing import Any, ClassVar, TypeVar, dataclass_transform

import msgspec
from msgspec import inspect


@dataclass_transform(frozen_default=True, kw_only_default=True)
class Event(msgspec.Struct, frozen=True, kw_only=True):
    """A fact about one aggregate. Its wire name is given by :func:`event`."""

    wire_name: ClassVar[str]


E = TypeVar("E", bound=Event)

_types: dict[str, type[Event]] = {}


def event(name: str) -> Callable[[type[E]], type[E]]:
    """Give an event class its permanent wire name.

    :raises ValueError: if another class already carries that name.
    :raises ClosedType: if a field accepts only the shapes or values that are known today.
    """

    def register(cls: type[E]) -> type[E]:
        if name in _types:
            raise ValueError(f"two events are named {name!r}: {_types[name].__qualname__} and {cls.__qualname__}")
        for path in _closed_fields(inspect.type_info(cls)):
            raise ClosedType(f"{cls.__qualname__}{path} refuses what a newer producer may say: leave it undecoded")
        cls.wire_name = name
        _types[name] = cls
        return cls

    return register


class ClosedType(TypeError):
    """A tagged union, an enumeration or a literal: decoding it would fail on a member that is added later."""


def _closed_fields(kind: inspect.Type, path: str = "") -> Iterator[str]:
    """Yield the paths of what is closed in a type, such as ``.lines[].kind``."""
    match kind:
        case inspect.EnumType() | inspect.LiteralType():
            yield path
        case inspect.StructType(tag=tag, fields=fields):
            if tag is not None:
                yield path
            for field in fields:
                yield from _closed_fields(field.type, f"{path}.{field.name}")
        case inspect.UnionType(types=types) | inspect.TupleType(item_types=types):
            for inner in types:
                yield from _closed_fields(inner, path)
        case inspect.DictType(value_type=inner):
            yield from _closed_fields(inner, f"{path}[]")
        case inspect.CollectionType(item_type=inner):
            yield from _closed_fields(inner, f"{path}[]")


class UnknownEvent(LookupError):
    """No event of this name is declared here."""


def event_type(name: str) -> type[Event]:
    """Return the class that carries a wire name. :raises UnknownEvent: if there is none."""
    try:
        return _types[name]
    except KeyError:
        raise UnknownEvent(f"no event is named {name!r}") from None


def event_types() -> tuple[type[Event], ...]:
    """Return every declared event, by wire name."""
    return tuple(_types[name] for name in sorted(_types))


def decode(name: str, data: Any) -> Event:
    """Return the event of that name from its JSON object, already parsed.

    :raises UnknownEvent: if the name is not declared.
    :raises msgspec.ValidationError: if a field is missing or of the wrong type.
    """
    return msgspec.convert(data, event_type(name))
