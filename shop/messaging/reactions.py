"""Reactions: how a context says which events of others it consumes, and what it does about them."""

from collections.abc import Callable

from celery import shared_task
from django.apps import apps

from shop.messaging.batches import BatchMessage
from shop.messaging.consumer.receiving import receive
from shop.messaging.consumers import Consumer, Reaction, register
from shop.messaging.contexts import ContextConfig, context
from shop.messaging.events import Event
from shop.messaging.producer.relay import wake


def consumes(source: str, *types: type[Event]) -> Callable[[Reaction], Reaction]:
    """Turn a reaction into the Celery task that consumes ``types`` from ``source``'s outbox.

    The body is given a :class:`~shop.messaging.batches.Batch`, inside a transaction of its context's database
    that also moves the cursor. It applies the events in order, set-wise, and calls ``store`` at most once. It is
    idempotent in itself; and it may raise: the batch is then halved until the poisonous event is found.

    :raises ValueError: if the context already has a consumer of that source.
    """

    def consume(react: Reaction) -> Reaction:
        consumer = Consumer(
            context=_context_of(react).label,
            source=source,
            types=tuple(sorted(cls.wire_name for cls in types)),
            task=f"{react.__module__}.{react.__name__}",
            react=react,
        )
        register(consumer)

        @shared_task(name=consumer.task)
        def receive_batch(**message: object) -> None:
            if receive(consumer, BatchMessage(**message)) and context(consumer.context).publishes:  # type: ignore[arg-type]
                wake(consumer.context)  # what the reaction recorded goes out at once

        receive_batch.__doc__ = react.__doc__
        return react

    return consume


def _context_of(react: Reaction) -> ContextConfig:
    app = apps.get_containing_app_config(react.__module__)
    if not isinstance(app, ContextConfig):
        raise ValueError(f"{react.__module__}.{react.__name__} is in no context: move it to a context's tasks.py")
    return app
