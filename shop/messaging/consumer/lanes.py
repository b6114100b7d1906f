"""Identifies a consumer's lane, in one place, for cursors and dead letters alike."""

from typing import Any

from shop.messaging.batches import BatchMessage
from shop.messaging.consumers import Consumer
from shop.messaging.contexts import ContextConfig
from shop.messaging.models import Cursor, DeadLetter


def lane_key(consumer: Consumer, message: BatchMessage) -> dict[str, Any]:
    """Return the fields that identify a batch's lane, for a filter or a new row."""
    return {
        "consumer": consumer.name,
        "generation": message.generation,
        "source": message.source,
        "lane": message.lane,
    }


def lane_of(row: Cursor | DeadLetter) -> dict[str, Any]:
    """Return the fields that identify the lane of a cursor or a dead letter."""
    return {"consumer": row.consumer, "generation": row.generation, "source": row.source, "lane": row.lane}


def hold_lane(app: ContextConfig, lane: dict[str, Any]) -> None:
    """Keep batches of the lane away until the transaction ends."""
    app.table(Cursor).objects.select_for_update().get(**lane)
