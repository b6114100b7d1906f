"""The Celery app: which queues there are, what is sent where, and what beat does when.

A worker takes the queues of its contexts; without ``-Q`` it takes all of them::

    celery -A celery_app worker -Q orders,orders.relay
    celery -A celery_app beat
"""

import logging
import os
from collections.abc import Iterable
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop.settings")

import django
from celery import Celery, signals
from django.apps import apps
from django.conf import settings
from django.db import connections
from django.utils import log as django_log
from kombu import Exchange, Queue

# Direct, and not of another type: Celery then sends straight to the queue, without asking which queues are bound
# to the exchange. With Redis that is a key in the broker, and a wiped broker has forgotten it.
EXCHANGE = Exchange("shop", type="direct")

app = Celery("shop")
app.autodiscover_tasks()


def configuration() -> dict[str, Any]:
    """Return the configuration: Celery asks when it is first needed, once Django's settings can be read."""
    if not apps.models_ready:  # a worker asks before it sets Django up; what beat sends depends on the models
        django.setup()
    quorum = {"x-queue-type": "quorum"} if settings.BROKER_URL.startswith("amqp") else None
    queues = [name for context in settings.CONTEXTS for name in (context, f"{context}.relay")]
    return {
        "broker_url": settings.BROKER_URL,
        "broker_connection_retry_on_startup": True,
        "broker_transport_options": {
            "visibility_timeout": 60,  # seconds until Redis hands out again what a dead worker had taken
            "socket_keepalive": True,
            "socket_timeout": 10,  # seconds
        },
        "task_queues": [Queue(name, EXCHANGE, routing_key=name, queue_arguments=quorum) for name in queues],
        "task_default_queue": queues[0],
        "task_create_missing_queues": False,
        # The log is the truth and the broker a hint: a task is done when its transaction is.
        "task_serializer": "json",
        "accept_content": ["json"],
        "task_ignore_result": True,
        "task_acks_late": True,
        "task_reject_on_worker_lost": True,
        "worker_prefetch_multiplier": 1,
        "worker_cancel_long_running_tasks_on_connection_loss": False,
        "task_publish_retry_policy": {"max_retries": 1, "interval_start": 0.1},
        # Without it Django's fixup closes every connection after each task; see close_broken_connections.
        "CELERY_DB_REUSE_MAX": 1_000_000,
        "beat_scheduler": "shop.messaging.scheduler:Scheduler",
        "beat_schedule_filename": str(settings.BASE_DIR / "var" / settings.INSTANCE / "beat-schedule"),
        "beat_max_loop_interval": 1,
        "beat_schedule": schedule(),
    }


app.add_defaults(configuration)  # not the signal on_configure, which swallows errors


@signals.celeryd_init.connect  # Celery warns before it sets its logging up
@signals.setup_logging.connect
def configure_logging(**kwargs: object) -> None:
    """Log as the settings say: with this receiver Celery adds no handlers, formats or levels of its own."""
    django_log.configure_logging(settings.LOGGING_CONFIG, settings.LOGGING)
    logging.captureWarnings(True)


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
    """Return what beat sends. Each entry is harmless when it overlaps itself, or runs twice or late.

    None expires: Celery compares beat's clock with the worker's, so that a worker whose clock is ahead would discard
    them all. Beat leaves an entry out while its queue is full, which keeps queues short (shop/messaging/scheduler.py).
    """
    from shop.messaging.contexts import contexts, publishers  # shop imports this module

    scans = {
        f"scan-outbox-{app.label}": {
            "task": "shop.messaging.tasks.scan_outbox",
            "schedule": settings.SCAN_INTERVAL,
            "kwargs": {"context": app.label},
            "options": {"queue": f"{app.label}.relay"},
        }
        for app in publishers()
    }
    partitions = {
        f"create-partitions-{app.label}": {
            "task": "shop.messaging.tasks.create_partitions",
            "schedule": 3600,
            "kwargs": {"context": app.label},
            "options": {"queue": f"{app.label}.relay"},
        }
        for app in publishers()
    }
    sweeps = {  # such as expire-open-orders; see orders/apps.py
        sweep.name: {"task": sweep.task, "schedule": sweep.every, "options": {"queue": app.label}}
        for app in contexts()
        for sweep in app.sweeps
    }
    return {**scans, **partitions, **sweeps}
