"""The Celery app: which queues there are, what is sent where, and what beat does when.

A worker takes the queues of its contexts; without ``-Q`` it takes all of them::

    celery -A celery_app worker -Q orders,orders.relay
    celery -A celery_app beat
"""

import logging
import os
import sys
import time
from collections.abc import Iterable
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop.settings")

import django
from celery import Celery, signals
from django.apps import apps
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import connections
from django.utils import log as django_log
from environs import EnvError
from kombu import Exchange, Queue

REDIS = {
    "visibility_timeout": 60,  # seconds until Redis hands out again what a dead worker had taken
    "socket_keepalive": True,
    "socket_connect_timeout": 2,  # seconds
    "socket_timeout": 3,  # seconds; longer than kombu's blocking read of a queue, which takes one
}
UNACKED = ("unacked_key", "unacked_index_key", "unacked_mutex_key")  # where Redis keeps what a worker has taken

TRUSTED = 1  # seconds that a connection counts as alive after a task
_last_signal = time.monotonic()

AMQP = {"connect_timeout": 2, "read_timeout": 3, "write_timeout": 3}  # seconds

app = Celery("shop")
app.autodiscover_tasks()


def configuration() -> dict[str, Any]:
    """Return the configuration: Celery asks when it is first needed, once Django's settings can be read."""
    if not apps.models_ready:  # a worker asks before it sets Django up; what beat sends depends on the models
        try:
            django.setup()
        except (ImproperlyConfigured, EnvError) as error:  # of a worker or beat: the sentence, without a traceback
            sys.exit(str(error))
    from shop.messaging import broker, serializer  # shop imports this module

    serializer.register()
    # Two deployments on one broker: whatever has a name there carries the prefix.
    prefix, is_amqp = settings.QUEUE_PREFIX, settings.BROKER_URL.startswith("amqp")
    queues = [queue for label in settings.CONTEXTS for queue in (label, broker.relay_queue(label))]
    # Direct, and not of another type: Celery then sends straight to the queue, without asking which queues are bound
    # to the exchange. With Redis that is a key in the broker, and a wiped broker has forgotten it.
    exchange = Exchange(f"{prefix}shop", type="direct")
    return {
        "broker_url": settings.BROKER_URL,
        "broker_connection_retry_on_startup": True,
        "broker_connection_timeout": 2,  # seconds
        "broker_transport_options": AMQP if is_amqp else REDIS | {key: f"{prefix}{key[:-4]}" for key in UNACKED},
        # With Redis, a connection that was closed meanwhile is noticed before it is used: a second try helps against
        # nothing, and doubles the time that a broker takes which hangs.
        "task_publish_retry": is_amqp,
        "task_publish_retry_policy": {"max_retries": 1, "interval_start": 0.1},
        "control_exchange": f"{prefix}celery",
        "event_exchange": f"{prefix}celeryev",
        "task_queues": [
            Queue(name, exchange, name, alias=queue, queue_arguments={"x-queue-type": "quorum"} if is_amqp else None)
            for queue in queues
            for name in [broker.name_of(queue)]
        ],
        "task_default_queue": queues[0],
        "task_create_missing_queues": False,
        # The log is the truth and the broker a hint: a task is done when its transaction is.
        "task_serializer": "json",
        "accept_content": ["json"],
        "task_ignore_result": True,
        "task_acks_late": True,
        "task_reject_on_worker_lost": True,
        "worker_prefetch_multiplier": 1,
        # With Redis, a worker without its mailbox takes nothing once its broker restarted: it keeps the mailbox, and
        # obeys nobody (see obey_nobody).
        "worker_enable_remote_control": settings.WORKER_REMOTE_CONTROL or not is_amqp,
        **({"worker_consumer": "shop.messaging.worker:Consumer"} if is_amqp else {}),
        "worker_cancel_long_running_tasks_on_connection_loss": False,
        # The last resort against a task that hangs; databases and broker have time-outs of their own. There is no soft
        # limit: it would raise inside a reaction, and pass for the fault of an event.
        "task_time_limit": 300,  # seconds
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
def obey_nobody(**kwargs: object) -> None:
    """Forget every command of the remote control, unless it was asked for."""
    from celery.worker.control import Panel

    if not settings.WORKER_REMOTE_CONTROL:
        Panel.data.clear()


@signals.celeryd_init.connect
def limit_statements(**kwargs: object) -> None:
    """Before a worker forks and opens its connections."""
    from shop.time_limits import limit_worker  # shop imports this module

    limit_worker()


@signals.celeryd_init.connect
def start_servers_of_worker(options: dict[str, Any], **kwargs: object) -> None:
    """Start the embedded servers that a worker's contexts use, if they have no others and do not run."""
    from shop.messaging import broker  # shop imports this module

    queues = options.get("queues") or list(settings.CONTEXTS)
    names = queues.split(",") if isinstance(queues, str) else queues
    _ensure_servers(settings.CONTEXTS[label] for label in {broker.context_of(name) for name in names})


@signals.worker_ready.connect
def ask_sources_at_start(sender: Any, **kwargs: object) -> None:
    """What a worker of an older release left alone comes at once when a newer one starts."""
    from shop.messaging import broker, contexts  # shop imports this module

    labels = {broker.context_of(queue) for queue in sender.app.amqp.queues.consume_from}
    for context in contexts.contexts():
        if context.consumes and context.label in labels:
            broker.send("shop.messaging.tasks.ask_sources", context.label, context=context.label)


@signals.worker_ready.connect
def tell_stack(**kwargs: object) -> None:
    """The stack on this machine, if there is one, waits until every worker is ready."""
    from shop.local.stack import readiness  # shop imports this module

    readiness.announce(settings.INSTANCE)


@signals.beat_init.connect
def start_servers_of_beat(**kwargs: object) -> None:
    """Beat needs the broker alone."""
    _ensure_servers([])


def _ensure_servers(aliases: Iterable[str]) -> None:
    from shop.local.servers.autostart import ensure_needed_servers  # shop imports this module

    ensure_needed_servers(aliases)


@signals.task_prerun.connect
@signals.task_postrun.connect
def close_broken_connections(**kwargs: object) -> None:
    """Around a task, as Django does around a request: a connection that met an error and is dead is closed.

    After a pause, each is asked whether it lives before its next query. While tasks follow one another that would be a
    round trip each, to avoid what a lost message is anyway: the first task after a server's restart, sent again later.
    """
    global _last_signal
    idle, _last_signal = time.monotonic() - _last_signal, time.monotonic()
    for connection in connections.all(initialized_only=True):
        if connection.errors_occurred or idle > TRUSTED:
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
            "schedule": 60,
            "kwargs": {"context": app.label},
            "options": {"queue": f"{app.label}.relay"},
        }
        for app in publishers()
    }
    # A request of an operator whose message was lost, or that was made while the broker was away.
    retries = {
        f"retry-letters-{app.label}": {
            "task": "shop.messaging.tasks.retry_letters",
            "schedule": 60,
            "kwargs": {"context": app.label},
            "options": {"queue": app.label},
        }
        for app in contexts()
        if app.consumes
    }
    questions = {
        f"ask-sources-{app.label}": {
            "task": "shop.messaging.tasks.ask_sources",
            "schedule": 60,
            "kwargs": {"context": app.label},
            "options": {"queue": app.label},
        }
        for app in contexts()
        if app.consumes
    }
    sweeps = {  # such as expire-open-orders; see orders/apps.py
        sweep.name: {"task": sweep.task, "schedule": sweep.every, "options": {"queue": app.label}}
        for app in contexts()
        for sweep in app.sweeps
    }
    return {**scans, **partitions, **retries, **questions, **sweeps}
