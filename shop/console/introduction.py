"""Telling consumers whose events they follow, from the first moment.

A cursor that knows no outbox adopts the first that a batch comes from, and with two deployments on one broker that
may be the other's. ``migrate`` reaches the databases of both sides, so it writes the source's identity into them.
"""

from collections.abc import Collection
from uuid import UUID

from django.db import DatabaseError, connections

from shop.logs import get_logger
from shop.messaging import models
from shop.messaging.consumers import Consumer, consumers
from shop.messaging.contexts import context
from shop.messaging.producer.fence import present

log = get_logger(__name__)

# No epoch yet: batches of a relay that is older than identities are taken until the first one with an identity.
INTRODUCE = """
INSERT INTO {cursor} (consumer, source, lane, outbox)
SELECT %(consumer)s, %(source)s, lane, %(outbox)s FROM generate_series(0, %(lanes)s - 1) AS lane
ON CONFLICT (consumer, generation, source, lane) DO UPDATE SET outbox = excluded.outbox WHERE {cursor}.outbox IS NULL
"""


def introduce(aliases: Collection[str]) -> None:
    """Give each consumer that has a side in these databases its source's identity, where both sides answer."""
    for consumer in consumers():
        sides = {context(consumer.source).database, context(consumer.context).database}
        if sides & set(aliases):
            try:
                _introduce(consumer)
            except DatabaseError as error:
                log.warning("consumer not introduced", consumer=consumer.name, source=consumer.source, error=str(error))


def _introduce(consumer: Consumer) -> None:
    source = present(consumer.source)
    app = context(consumer.context)
    values: dict[str, str | int | UUID] = {
        "consumer": consumer.name,
        "source": consumer.source,
        "outbox": source.identity.outbox,
        "lanes": source.lanes,
    }
    with connections[app.database].cursor() as cursor:
        cursor.execute(INTRODUCE.format(cursor=app.table(models.Cursor)._meta.db_table), values)
