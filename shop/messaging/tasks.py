"""The messaging's own Celery tasks. Each is harmless when run twice, late, or by many workers at once."""

from celery import shared_task

from shop.messaging.producer.partitions import ensure_partitions, look_after_partitions
from shop.messaging.producer.relay import relay, take_acknowledgement


@shared_task
def scan_outbox(context: str) -> None:
    """Send what is new in a context's outbox, and again what was not acknowledged in time.

    Once a minute it looks after the partitions too: it is what runs, whoever wakes it.
    """
    try:
        relay(context)
    finally:
        look_after_partitions(context)


@shared_task
def acknowledge(source: str, consumer: str, lane: int, batch: str, cursor: int) -> None:
    """Take a consumer's acknowledgement of a batch, and send it the next."""
    take_acknowledgement(source, consumer=consumer, lane=lane, batch=batch, cursor=cursor)


@shared_task
def create_partitions(context: str) -> None:
    """Keep partitions of a context's outbox ready ahead of need."""
    ensure_partitions(context)
