"""Consumers: which context reacts to which events of which source, by which Celery task."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from celery import shared_task

from shop.messaging.batches import Batch, Message
from shop.messaging.events import Event

Reaction = Callable[[Batch], None]


@dataclass(frozen=True, slots=True)
class Consumer:
    """One context's reaction to one source; there is one for each pair."""

    name: str
    """The reacting context."""
    source: str
    types: tuple[str, ...]
    """Wire names of the events that it wants."""
    task: str
    react: Reaction

    @property
    def queue(self) -> str:
        """The Celery queue that its batches are sent to."""
        return self.name


_consumers: dict[tuple[str, str], Consumer] = {}


def consumes(source: str, *types: type[Event]) -> Callable[[Reaction], Reaction]:
    """Turn a reaction into the Celery task that consumes ``types`` from ``source``'s outbox.

    The body is given a :class:`Batch`, inside a transaction of its context's database that also moves
    the cursor. It applies the events in order, set-wise, and calls ``store`` once at the most. It is
    idempotent in itself; and it may raise: the batch is then halved until the poisonous event is found.

    :raises ValueError: if the context already has a consumer of that source.
    """

    def register(react: Reaction) -> Reaction:
        name = react.__module__.split(".")[-2]
        consumer = Consumer(
            name=name,
            source=source,
            types=tuple(sorted(cls.wire_name for cls in types)),
            task=f"{react.__module__}.{react.__name__}",
            react=react,
        )
        if (name, source) in _consumers:
            raise ValueError(f"{name} already consumes {source} by {_consumers[name, source].task}")
        _consumers[name, source] = consumer

        @shared_task(name=consumer.task)
        def receive_batch(**message: object) -> None:
            from shop.messaging.receiving import receive

            receive(consumer, Message(**message))  # type: ignore[arg-type]

        receive_batch.__doc__ = react.__doc__
        return react

    return register


def consumer_of(name: str, source: str) -> Consumer:
    """The consumer by which a context reacts to a source. :raises LookupError: if there is none."""
    try:
        return _consumers[name, source]
    except KeyError:
        raise LookupError(f"{name} does not consume {source}") from None


def consumers_of(source: str) -> Mapping[str, Consumer]:
    """The consumers of a context's events, by name."""
    return {consumer.name: consumer for consumer in _consumers.values() if consumer.source == source}
