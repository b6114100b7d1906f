"""What the inventory context says."""

from uuid import UUID

import msgspec

from shop.messaging.events import Event, event


class Shortage(msgspec.Struct, frozen=True, kw_only=True):
    """A line of an order for which there was too little."""

    sku: str
    requested: int
    available: int


@event("inventory.inventory-locked")
class InventoryLocked(Event):
    """Every line of the order is reserved."""

    order_id: UUID


@event("inventory.inventory-lock-failed")
class InventoryLockFailed(Event):
    """Nothing is reserved for the order, since these lines of it are short."""

    order_id: UUID
    short: tuple[Shortage, ...]


@event("inventory.stock-changed")
class StockChanged(Event):
    """How much there is of a product now."""

    sku: str
    available: int
    reserved: int
