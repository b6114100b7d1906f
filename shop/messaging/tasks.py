"""The messaging's own Celery tasks. Each is harmless when run twice, late, or by many workers at once."""

from typing import Any

from celery import Task, shared_task

from shop.messaging.batches import Acknowledgement
from shop.messaging.broker import extensions_of
from shop.messaging.producer.partitions import ensure_partitions, look_after_partitions
from shop.messaging.producer.relay import relay, subscribe, take_acknowledgement


@shared_task
def scan_outbox(context: str) -> None:
    """Send what is new in a context's outbox, and again what was not acknowledged in time.

    Once a minute it looks after the partitions too: it is what runs, whoever wakes it.
    """
    try:
        relay(context)
    finally:
        look_after_partitions(context)


@shared_task(bind=True)
def acknowledge(self: Task[..., None], **answer: Any) -> None:
    """Take a consumer's acknowledgement of a batch, and send it the next."""
    received = Acknowledgement.read(answer | extensions_of(self.request))
    take_acknowledgement(received.source, received)


@shared_task(name="shop.messaging.tasks.subscribe")
def subscribe_generation(source: str, consumer: str, generation: int, **more: Any) -> None:
    """Give a generation of a consumer its subscriptions to a context's events."""
    subscribe(source, consumer=consumer, generation=generation)


@shared_task
def create_partitions(context: str) -> None:
    """Keep partitions of a context's outbox ready ahead of need."""
    ensure_partitions(context)
