"""Generations of a consumer: a second one rebuilds, from position 0, what the first one built.

Each has its own subscriptions and cursors, and runs beside the others until it is abandoned. The first has no row.
A consumer asks its source by message to subscribe a generation, since a worker reaches only its own database; it
asks again every minute.
"""

from typing import Any

from django.db import connections, transaction
from django.db.models import Max
from django.db.models.functions import Now

from shop.logs import get_logger
from shop.messaging import broker, models
from shop.messaging.consumers import Consumer
from shop.messaging.contexts import context

log = get_logger(__name__)

# Held until the transaction ends: whoever abandons a generation waits for what it is applying.
HOLD = """
SELECT ended_at IS NULL FROM {generation} WHERE consumer = %s AND source = %s AND number = %s FOR SHARE
"""


class UnknownGeneration(LookupError):
    """The consumer has no such generation."""


def begin_generation(consumer: Consumer) -> int:
    """Begin a further generation of a consumer and return its number. It gets its source's log from position 0."""
    app = context(consumer.context)
    table = app.table(models.Generation)
    who = {"consumer": consumer.name, "source": consumer.source}
    with transaction.atomic(using=app.database):
        last = table.objects.filter(**who).aggregate(last=Max("number"))["last"] or 1
        generation = table.objects.create(**who, number=last + 1)
    log.info("generation begun", context=app.label, **who, generation=generation.number)
    ask_to_subscribe(app.label)
    return generation.number


def abandon_generation(consumer: Consumer, number: int) -> None:
    """End a generation: its cursors go at once, its subscriptions with the next batch, which is answered *gone*.

    :raises UnknownGeneration: if it is not running.
    """
    app = context(consumer.context)
    who = {"consumer": consumer.name, "source": consumer.source}
    with transaction.atomic(using=app.database):
        running = app.table(models.Generation).objects.filter(**who, number=number, ended_at=None)
        if not running.update(ended_at=Now()):
            raise UnknownGeneration(f"{consumer.name} has no running generation {number} on {consumer.source}")
        app.table(models.Cursor).objects.filter(**who, generation=number).delete()
    log.info("generation abandoned", context=app.label, **who, generation=number)


def ask_to_subscribe(label: str) -> int:
    """Ask the sources for the subscriptions of each running generation; return how many were asked for.

    Repeat it: a producer that is restored from a backup may have lost them.
    """
    running = context(label).table(models.Generation).objects.filter(ended_at=None, number__gt=1)
    for row in running:
        queue = broker.relay_queue(row.source)
        broker.send(broker.SUBSCRIBE, queue, source=row.source, consumer=row.consumer, generation=row.number)
    return len(running)


def hold(consumer: Consumer, number: int) -> bool:
    """Return whether a generation is running, and keep it running until the transaction ends. The first has no row."""
    app = context(consumer.context)
    generation = app.table(models.Generation)._meta.db_table
    with connections[app.database].cursor() as cursor:
        cursor.execute(HOLD.format(generation=generation), [consumer.name, consumer.source, number])
        row: Any = cursor.fetchone()
    return bool(row[0]) if row else number == 1
