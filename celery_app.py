"""The Celery app: which queues there are, what is sent where, and what beat does when.

A worker takes the queues of its contexts; without ``-Q`` it takes all of them::

    celery -A celery_app worker -Q orders,orders.relay
    celery -A celery_app beat
"""

import os
from collections.abc import Iterable
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop.settings")

from celery import Celery, signals
from django.conf import settings
from django.db import connections
from kombu import Exchange, Queue

PUBLISHERS = ("catalogue", "members", "orders", "inventory")
KEEPERS_OF_KEYS = {"catalogue": "shop.catalogue", "orders": "orders", "inventory": "inventory"}  # and their modules

# Direct, and not of another type: Celery then sends straight to the queue, without asking which queues are bound
# to the exchange. With Redis that is a key in the broker, and a wiped broker has forgotten it.
EXCHANGE = Exchange("shop", type="direct")

app = Celery("shop")
app.autodiscover_tasks()


@app.on_configure.connect
def configure(sender: Celery, **kwargs: object) -> None:
    """Fill in the configuration when it is first needed, once Django's settings can be read."""
    quorum = {"x-queue-type": "quorum"} if settings.BROKER_URL.startswith("amqp") else None
    queues = [name for context in settings.CONTEXTS for name in (context, f"{context}.relay")]
    sender.conf.update(
        broker_url=settings.BROKER_URL,
        broker_connection_retry_on_startup=True,
        broker_transport_options={
            "visibility_timeout": 60,  # seconds until Redis hands out again what a dead worker had taken
            "socket_keepalive": True,
            "socket_timeout": 10,  # seconds
        },
        task_queues=[Queue(name, EXCHANGE, routing_key=name, queue_arguments=quorum) for name in queues],
        task_default_queue="orders",
        task_create_missing_queues=False,
        # The log is the truth and the broker a hint: a task is done when its transaction is.
        task_serializer="json",
        accept_content=["json"],
        task_ignore_result=True,
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        worker_prefetch_multiplier=1,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        task_publish_retry_policy={"max_retries": 1, "interval_start": 0.1},
        worker_hijack_root_logger=False,
        # Without it Django's fixup closes every connection after each task; see close_broken_connections.
        CELERY_DB_REUSE_MAX=1_000_000,
        beat_scheduler="shop.messaging.scheduler:Scheduler",
        beat_schedule_filename=str(settings.BASE_DIR / "var" / settings.INSTANCE / "beat-schedule"),
        beat_max_loop_interval=1,
        beat_schedule=schedule(),
    )


@signals.celeryd_init.connect
def start_servers_of_worker(options: dict[str, Any], **kwargs: object) -> None:
    """Start the embedded servers that a worker's contexts use, if they have no others and do not run."""
    queues = options.get("queues") or list(settings.CONTEXTS)
    names = queues.split(",") if isinstance(queues, str) else queues
    contexts = {name.removesuffix(".relay") for name in names} & settings.CONTEXTS.keys()
    _ensure_servers(settings.CONTEXTS[context] for context in contexts)


@signals.beat_init.connect
def start_servers_of_beat(**kwargs: object) -> None:
    """Beat needs the broker alone."""
    _ensure_servers([])


def _ensure_servers(aliases: Iterable[str]) -> None:
    from shop.local.servers.autostart import ensure_needed_servers  # shop imports this module

    ensure_needed_servers(aliases)


@signals.task_postrun.connect
def close_broken_connections(**kwargs: object) -> None:
    """After a task, as Django does after a request: a connection that met an error and is dead is closed."""
    for connection in connections.all(initialized_only=True):
        connection.close_if_unusable_or_obsolete()


def schedule() -> dict[str, dict[str, object]]:
    """What beat sends. Each entry is harmless when it overlaps itself, and expires rather than pile up."""
    scans = {
        f"scan-outbox-{context}": {
            "task": "shop.messaging.tasks.scan_outbox",
            "schedule": settings.SCAN_INTERVAL,
            "kwargs": {"context": context},
            "options": {"queue": f"{context}.relay", "expires": 5},
        }
        for context in PUBLISHERS
    }
    partitions = {
        f"create-partitions-{context}": {
            "task": "shop.messaging.tasks.create_partitions",
            "schedule": 3600,
            "kwargs": {"context": context},
            "options": {"queue": f"{context}.relay", "expires": 600},
        }
        for context in PUBLISHERS
    }
    keys = {
        f"forget-idempotency-keys-{context}": {
            "task": f"{module}.tasks.forget_idempotency_keys",
            "schedule": 3600,
            "options": {"queue": context, "expires": 600},
        }
        for context, module in KEEPERS_OF_KEYS.items()
    }
    return {
        **scans,
        **partitions,
        **keys,
        "expire-open-orders": {
            "task": "orders.tasks.expire_open_orders",
            "schedule": settings.ORDER_SWEEP_INTERVAL,
            "options": {"queue": "orders", "expires": 5},
        },
        "rename-orders": {
            "task": "readmodel.tasks.rename_orders",
            "schedule": 5,
            "options": {"queue": "readmodel", "expires": 600},
        },
    }
