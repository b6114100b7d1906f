"""Computes the time up to which a context has applied everything that its sources recorded."""

from datetime import datetime

from shop.messaging import models
from shop.messaging.consumers import consumers
from shop.messaging.contexts import context


def fresh_at(label: str) -> datetime | None:
    """Return the time up to which everything recorded is applied, apart from what is parked.

    ``None`` until a batch of each lane of each source has come. Each source's time is its own database's. Cursors of
    consumers that are no longer in the code, and of generations that are being built, do not count.
    """
    ours = {(consumer.name, consumer.source) for consumer in consumers() if consumer.context == label}
    cursors = context(label).table(models.Cursor).objects.filter(generation=1)
    times = [
        (consumer, source, at)
        for consumer, source, at in cursors.values_list("consumer", "source", "fresh_at")
        if (consumer, source) in ours
    ]
    with_cursors = {(consumer, source) for consumer, source, _ in times}
    if with_cursors != ours or any(at is None for *_, at in times):
        return None
    return min((at for *_, at in times if at is not None), default=None)
