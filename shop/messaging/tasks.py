"""The messaging's own Celery tasks. Each is harmless when run twice, late, or by many workers at once."""

from typing import Any

from celery import Task, shared_task

from shop.messaging import broker, contexts
from shop.messaging.batches import Acknowledgement, SubscriptionRequest
from shop.messaging.consumer import retries
from shop.messaging.consumer.generations import ask_to_subscribe
from shop.messaging.consumer.receiving import answer_what_was_left_alone
from shop.messaging.producer.partitions import ensure_partitions, look_after_partitions
from shop.messaging.producer.relay import relay, subscribe, take_acknowledgement, wake


@shared_task
def scan_outbox(context: str) -> None:
    """Send what is new in a context's outbox, and again what was not acknowledged in time.

    Once a minute it looks after the partitions too.
    """
    try:
        relay(context)
    finally:
        look_after_partitions(context)


@shared_task(bind=True)
def acknowledge(self: Task[..., None], **answer: Any) -> None:
    """Take a consumer's acknowledgement of a batch, and send it the next."""
    received = broker.received(self, answer)
    if received is not None:
        acknowledgement = Acknowledgement.read(received)
        take_acknowledgement(acknowledgement.source, acknowledgement)


@shared_task(name=broker.SUBSCRIBE, bind=True)
def subscribe_generation(self: Task[..., None], **request: Any) -> None:
    """Create the subscriptions of a generation of a consumer, and send what is due of them if asked."""
    received = broker.received(self, request)
    if received is not None:
        wish = SubscriptionRequest.read(received)
        subscribe(wish.source, consumer=wish.consumer, generation=wish.generation, at_once=wish.at_once)


@shared_task
def ask_sources(context: str) -> None:
    """Ask a context's sources for what it waits for: batches that it left alone, generations that no batch came for.

    A worker runs it when it starts, since it may be the newer release that was waited for; beat sends it every minute.
    """
    answer_what_was_left_alone(context)
    ask_to_subscribe(context)


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
    retries.call_worker(context, source=step.source, consumer=step.consumer)
