"""Consumers: which context reacts to which events of which source, by which Celery task."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from shop.messaging.batches import Batch

Reaction = Callable[[Batch], None]


@dataclass(frozen=True, slots=True)
class Consumer:
    """One context's reaction to one source; there is one for each pair."""

    context: str
    """The reacting context."""
    source: str
    types: tuple[str, ...]
    """Wire names of the events that it wants."""
    task: str
    react: Reaction

    @property
    def name(self) -> str:
        """What its positions are kept under, on both sides."""
        return self.context

    @property
    def queue(self) -> str:
        """The Celery queue that its batches are sent to."""
        return self.context


_consumers: dict[tuple[str, str], Consumer] = {}


def register(consumer: Consumer) -> None:
    """Make a consumer known. :raises ValueError: if its context already has one of that source."""
    key = (consumer.name, consumer.source)
    if key in _consumers:
        raise ValueError(f"{consumer.name} already consumes {consumer.source} by {_consumers[key].task}")
    _consumers[key] = consumer


def consumer_of(name: str, source: str) -> Consumer:
    """The consumer by which a context reacts to a source. :raises LookupError: if there is none."""
    try:
        return _consumers[name, source]
    except KeyError:
        raise LookupError(f"{name} does not consume {source}") from None


def consumers_of(source: str) -> Mapping[str, Consumer]:
    """The consumers of a context's events, by name."""
    return {consumer.name: consumer for consumer in _consumers.values() if consumer.source == source}
