"""The broker, which is a hint: what is sent may be lost, doubled or reordered, and may not pile up.

Queues have the same names in code, commands and docs in every deployment (``orders``, ``orders.relay``): Celery
knows them as aliases. On the broker they carry ``QUEUE_PREFIX``, see :func:`name_of`.

Call nothing here inside a database transaction: giving up a broker that hangs takes seconds.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from celery import Task, current_app
from django.conf import settings
from kombu.exceptions import OperationalError

from shop.messaging import signing
from shop.messaging.consumers import Consumer, consumers_of

QUEUE_LIMIT = 64  # messages waiting in a queue beyond which scans and resends are held back, at least

RELAY_SUFFIX = ".relay"

EXTENSIONS = "extensions"
NONE: Mapping[str, Any] = MappingProxyType({})

SCAN = "shop.messaging.tasks.scan_outbox"
ACKNOWLEDGE = "shop.messaging.tasks.acknowledge"
SUBSCRIBE = "shop.messaging.tasks.subscribe"
RETRY = "shop.messaging.tasks.retry_letters"


def relay_queue(context: str) -> str:
    """Return the queue of a context's scans and acknowledgements."""
    return context + RELAY_SUFFIX


def name_of(queue: str) -> str:
    """Return a queue's name on the broker."""
    return f"{settings.QUEUE_PREFIX}{queue}"


def context_of(queue: str) -> str:
    """Return the context of a queue, given by either of its names."""
    return queue.removeprefix(settings.QUEUE_PREFIX).removesuffix(RELAY_SUFFIX)


def send(task: str, queue: str, *, extensions: Mapping[str, Any] = NONE, **arguments: Any) -> None:
    """Send a task by name, signed if there is a key.

    :param extensions: fields that a release before this one refuses as arguments: they travel in the message's
        headers, which it does not read.
    :raises kombu.exceptions.OperationalError: if the broker is away, at once; or hangs, after about 6 s.
    """
    scalars = {name: value for name, value in arguments.items() if isinstance(value, str | int)}
    current_app.send_task(
        task,
        kwargs=arguments,
        kwargsrepr=repr(scalars),  # for people; Celery would go through every event for it
        queue=queue,
        headers={EXTENSIONS: {**extensions, **signing.signature_of(task, {**arguments, **extensions})}},
    )


def received(task: Task[..., Any], arguments: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the message that a running task was called with: its arguments, and the extensions in its headers.

    ``None`` if it is not signed as it has to be: it was logged, and is to be left alone.
    """
    extensions = (task.request.headers or {}).get(EXTENSIONS)
    message = {**arguments, **(extensions if isinstance(extensions, Mapping) else NONE)}
    return message if signing.is_trusted(task.name, message) else None


def is_backed_up(queue: str) -> bool:
    """Return whether nobody empties the queue: whatever else is sent to it would only pile up.

    ``expires`` would not help: an expired message stays in the queue until a worker takes it.
    """
    return waiting_in(queue) >= limit_of(queue)


def waiting_in(queue: str) -> int:
    """Return how many messages wait in a queue; 0 if there is no such queue, or no broker: sending then fails."""
    connections: Any = current_app.pool
    with connections.acquire(block=True) as connection:
        try:
            connection.ensure_connection(max_retries=0)
            with connection.channel() as channel:
                return int(channel.queue_declare(name_of(queue), passive=True).message_count)
        except (OperationalError, *connection.connection_errors, *connection.channel_errors):
            return 0


def limit_of(queue: str) -> int:
    """Return how many messages may wait in a queue: twice :func:`busy`, and at least :data:`QUEUE_LIMIT`."""
    return max(QUEUE_LIMIT, 2 * busy(queue))


def busy(queue: str) -> int:
    """Return how many messages a queue holds at most while its workers keep up, without those of beat.

    That is a batch for each consumer of its context and lane of the source, or an acknowledgement for each consumer
    of its outbox and lane. Lanes are those that the settings know: another producer's database is not asked.
    """
    context = context_of(queue)
    consumers = [consumer for source in settings.CONTEXTS for consumer in consumers_of(source).values()]
    return settings.OUTBOX_LANES * sum(_sends_to(consumer, queue, context) for consumer in consumers)


def _sends_to(consumer: Consumer, queue: str, context: str) -> bool:
    return (consumer.source if queue.endswith(RELAY_SUFFIX) else consumer.context) == context
