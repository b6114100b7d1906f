"""Consumers: which context reacts to which events of which source, by which Celery task."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

from shop.messaging.batches import Batch

Reaction = Callable[[Batch], None]


@dataclass(frozen=True, slots=True)
class Consumer:
    """One context's reaction to one source. Of several to the same source, all but one have a name."""

    context: str
    """The reacting context."""
    source: str
    types: tuple[str, ...]
    """Wire names of the events that it wants."""
    task: str
    react: Reaction
    reaction: str = ""
    annuls: Mapping[str, str] = field(default_factory=dict)
    """The type that is undone, by the type that undoes it."""
    given_up: frozenset[str] = frozenset()
    """Types that it wanted once and no longer does."""

    @property
    def name(self) -> str:
        """The permanent name that its positions are kept under, on both sides."""
        return f"{self.context}.{self.reaction}" if self.reaction else self.context

    @property
    def queue(self) -> str:
        """The Celery queue that its batches are sent to."""
        return self.context


_consumers: dict[tuple[str, str], Consumer] = {}


def register(consumer: Consumer) -> None:
    """Register a consumer. :raises ValueError: if there is one of the same name on the same source."""
    key = (consumer.name, consumer.source)
    if key in _consumers:
        raise ValueError(
            f"{consumer.name} already consumes {consumer.source} by {_consumers[key].task}: give this one a name"
        )
    _consumers[key] = consumer


def consumer_of(name: str, source: str) -> Consumer:
    """Return the consumer of that name on a source. :raises LookupError: if there is none."""
    try:
        return _consumers[name, source]
    except KeyError:
        raise LookupError(f"{name} does not consume {source}") from None


def consumers_of(source: str) -> Mapping[str, Consumer]:
    """Return the consumers of a context's events, by name."""
    return {consumer.name: consumer for consumer in _consumers.values() if consumer.source == source}


def consumers() -> Collection[Consumer]:
    """Return every consumer."""
    return _consumers.values()
