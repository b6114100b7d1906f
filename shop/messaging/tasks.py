"""The messaging's own Celery tasks. Each is harmless when run twice, late, or by many workers at once."""

from celery import shared_task

from shop.messaging import contexts
from shop.messaging.consumer import retries
from shop.messaging.producer.partitions import ensure_partitions
from shop.messaging.producer.relay import relay, take_acknowledgement, wake


@shared_task
def scan_outbox(context: str) -> None:
    """Send what is new in a context's outbox, and again what was not acknowledged in time."""
    relay(context)


@shared_task
def acknowledge(source: str, consumer: str, lane: int, batch: str, cursor: int) -> None:
    """Take a consumer's acknowledgement of a batch, and send it the next."""
    take_acknowledgement(source, consumer=consumer, lane=lane, batch=batch, cursor=cursor)


@shared_task
def create_partitions(context: str) -> None:
    """Keep partitions of a context's outbox ready ahead of need."""
    ensure_partitions(context)


@shared_task
def retry_letters(context: str) -> None:
    """Retry dead letters as operators asked for, a step of the oldest request; then call for the next."""
    step = retries.run_step(context)
    if step is None:
        return
    if step.applied and contexts.context(context).publishes:
        wake(context)  # what the reaction recorded goes out at once
    retries.call_worker(context, source=step.source)
