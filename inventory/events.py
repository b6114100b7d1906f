"""The events that the inventory publishes."""

from uuid import UUID

import msgspec

from shop.messaging.events import Event, event


class Shortage(msgspec.Struct, frozen=True, kw_only=True):
    """A line of an order that exceeds the available stock."""

    sku: str
    requested: int
    available: int


class InventoryAnswer(Event):
    """The inventory's answer to an order: all lines are reserved, or none."""

    order_id: UUID


@event("inventory.inventory-locked")
class InventoryLocked(InventoryAnswer):
    """Every line of the order is reserved."""


@event("inventory.inventory-lock-failed")
class InventoryLockFailed(InventoryAnswer):
    """Nothing is reserved for the order, because these of its lines are short, or their campaigns are."""

    short: tuple[Shortage, ...]
    exhausted: tuple[Shortage, ...] = ()
    """Lines that exceed what is left of their campaign's allotment, which is ``available``."""


@event("inventory.stock-changed")
class StockChanged(Event):
    """The quantities of a stock item changed."""

    sku: str
    available: int
    reserved: int


class Availability(Event):
    """Whether there is anything left to sell of a product. A courtesy: reservations decide."""

    sku: str


@event("inventory.stock-depleted")
class StockDepleted(Availability):
    """The last unit was reserved, or taken away."""


@event("inventory.stock-replenished")
class StockReplenished(Availability):
    """There is something to sell again."""
