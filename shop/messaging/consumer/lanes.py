"""What identifies a consumer's lane: the one place that knows, for cursors and for dead letters alike."""

from typing import Any

from shop.messaging.contexts import ContextConfig


def lane_key(consumer: str, source: str, lane: int) -> dict[str, Any]:
    """The fields, as a filter and for a new row."""
    return {"consumer": consumer, "source": source, "lane": lane}


def lane_of_letter(letter: Any) -> dict[str, Any]:
    """The lane that a dead letter came by."""
    return lane_key(letter.consumer, letter.source, letter.lane)


def hold_lane(app: ContextConfig, lane: dict[str, Any]) -> None:
    """Keep batches of the lane away until the transaction ends."""
    app.table("Cursor").objects.select_for_update().get(**lane)
