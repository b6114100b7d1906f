"""Reactions: a context declares which events of others it consumes, and what it does about them."""

from collections.abc import Callable, Collection, Mapping
from types import MappingProxyType
from typing import Any

from celery import Task, shared_task
from django.apps import apps

from shop.messaging import broker
from shop.messaging.batches import BatchMessage
from shop.messaging.consumer.receiving import receive
from shop.messaging.consumers import Consumer, Reaction, register
from shop.messaging.contexts import ContextConfig, context
from shop.messaging.events import Event
from shop.messaging.producer.relay import wake

NOTHING: Mapping[type[Event], type[Event]] = MappingProxyType({})


def consumes(
    source: str,
    *types: type[Event],
    name: str = "",
    annuls: Mapping[type[Event], type[Event]] = NOTHING,
    given_up: Collection[str] = (),
) -> Callable[[Reaction], Reaction]:
    """Turn a reaction into the Celery task that consumes ``types`` from ``source``'s outbox.

    The body is given a :class:`~shop.messaging.batches.Batch`, inside a transaction of its context's database
    that also moves the cursor. It applies the events in order, set-wise, and calls ``store`` at most once. It must be
    idempotent. It may raise: the batch is then halved until the poisonous event is found.

    :param name: distinguishes it from the context's other reactions to the same source. Its positions are kept under
        the name, so it is permanent. A context's first reaction to a source needs none.
    :param annuls: which type undoes which. An event that a later one undoes, in the log already when it is sent, comes
        marked as ``annulled``, so that what was undone while nobody answered takes nothing.
    :param given_up: wire names of types that it wanted once and no longer does. A worker that wants fewer types than
        the cursor moved under, and does not list them here, counts as one of an older release: it leaves batches alone.
    :raises ValueError: if the context already has a consumer of that source and name.
    """

    def consume(react: Reaction) -> Reaction:
        consumer = Consumer(
            context=_context_of(react).label,
            source=source,
            types=tuple(sorted(cls.wire_name for cls in types)),
            task=f"{react.__module__}.{react.__name__}",
            react=react,
            reaction=name,
            annuls={undoing.wire_name: undone.wire_name for undoing, undone in annuls.items()},
            given_up=frozenset(given_up),
        )
        register(consumer)

        @shared_task(name=consumer.task, bind=True)
        def receive_batch(self: Task[..., None], **message: Any) -> None:
            received = broker.received(self, message)
            if received is None:
                return
            if receive(consumer, BatchMessage.read(received)) and context(consumer.context).publishes:
                wake(consumer.context)  # what the reaction recorded goes out at once

        receive_batch.__doc__ = react.__doc__
        return react

    return consume


def _context_of(react: Reaction) -> ContextConfig:
    app = apps.get_containing_app_config(react.__module__)
    if not isinstance(app, ContextConfig):
        raise ValueError(f"{react.__module__}.{react.__name__} is in no context: move it to a context's tasks.py")
    return app
