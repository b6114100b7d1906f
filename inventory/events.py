"""What the inventory context says."""

from uuid import UUID

import msgspec

from shop.messaging.events import Event, event


class Shortage(msgspec.Struct, frozen=True, kw_only=True):
    """A line of an order for which there was too little."""

    sku: str
    requested: int
    available: int


class InventoryAnswer(Event):
    """Whether an order got what it needs."""

    order_id: UUID


@event("inventory.inventory-locked")
class InventoryLocked(InventoryAnswer):
    """Every line of the order is reserved."""


@event("inventory.inventory-lock-failed")
class InventoryLockFailed(InventoryAnswer):
    """Nothing is reserved for the order, since these lines of it are short."""

    short: tuple[Shortage, ...]


@event("inventory.stock-changed")
class StockChanged(Event):
    """How much there is of a product now."""

    sku: str
    available: int
    reserved: int
