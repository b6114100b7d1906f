"""The broker, which is a hint: what is sent may be lost, doubled or reordered, and may not pile up."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from celery import current_app
from kombu.exceptions import OperationalError

QUEUE_LIMIT = 64  # messages waiting in a queue beyond which scans and resends are held back

RELAY_SUFFIX = ".relay"

EXTENSIONS = "extensions"
NONE: Mapping[str, Any] = MappingProxyType({})

SCAN = "shop.messaging.tasks.scan_outbox"
ACKNOWLEDGE = "shop.messaging.tasks.acknowledge"
SUBSCRIBE = "shop.messaging.tasks.subscribe"
RETRY = "shop.messaging.tasks.retry_letters"


def relay_queue(context: str) -> str:
    """The queue of a context's scans and acknowledgements."""
    return context + RELAY_SUFFIX


def send(task: str, queue: str, *, extensions: Mapping[str, Any] = NONE, **arguments: Any) -> None:
    """Send a task by name.

    :param extensions: fields that a release before this one refuses as arguments: they travel in the message's
        headers, which it does not read.
    :raises kombu.exceptions.OperationalError: if the broker is away.
    """
    current_app.send_task(task, kwargs=arguments, queue=queue, headers={EXTENSIONS: dict(extensions)})


def extensions_of(request: Any) -> dict[str, Any]:
    """What came with a task beside its arguments, from its ``request``."""
    return dict((request.headers or {}).get(EXTENSIONS) or {})


def is_backed_up(queue: str) -> bool:
    """Whether nobody empties the queue: whatever else is sent to it would only pile up there.

    ``expires`` alone does not do: an expired message stays where it is until a worker takes it.
    """
    connections: Any = current_app.pool
    with connections.acquire(block=True) as connection:
        try:
            connection.ensure_connection(max_retries=1, interval_start=0)
            with connection.channel() as channel:
                return int(channel.queue_declare(queue, passive=True).message_count) >= QUEUE_LIMIT
        except (OperationalError, *connection.connection_errors, *connection.channel_errors):
            return False  # there is no such queue yet, or no broker: sending will say so
