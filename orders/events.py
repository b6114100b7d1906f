"""What the orders context says."""

from datetime import datetime
from typing import ClassVar
from uuid import UUID

import msgspec

from shop.messaging.events import Event, event


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One product of an order, as it was when the order was placed."""

    sku: str
    name: str
    category: str
    price: int
    """Minor units, for one piece."""
    quantity: int


class Short(msgspec.Struct, frozen=True, kw_only=True):
    """A line that could not be filled."""

    sku: str
    requested: int
    available: int


class Reason(msgspec.Struct, frozen=True, tag_field="code"):
    """Why an order was cancelled. ``code`` is stable, for machines."""

    detail: ClassVar[str]


class OutOfStock(Reason, tag="out_of_stock"):
    """There was too little of one product or more; every short line is named."""

    lines: tuple[Short, ...]
    detail = "There is not enough in stock."


class CancelledByMember(Reason, tag="cancelled_by_member"):
    detail = "The member cancelled the order."


class CancelledByStaff(Reason, tag="cancelled_by_staff"):
    detail = "The shop cancelled the order."


class TimedOut(Reason, tag="timed_out"):
    detail = "The order could not be decided in time."


AnyReason = OutOfStock | CancelledByMember | CancelledByStaff | TimedOut


@event("orders.order-created")
class OrderCreated(Event):
    """A member placed an order; nothing is reserved yet."""

    order_id: UUID
    member_id: int
    lines: tuple[Line, ...]
    """At most one for each SKU."""
    total: int
    currency: str
    placed_at: datetime


@event("orders.order-confirmed")
class OrderConfirmed(Event):
    """Everything that the order needs is reserved for it."""

    order_id: UUID
    at: datetime


@event("orders.order-cancelled")
class OrderCancelled(Event):
    """The order came to nothing; whoever reserved something for it releases it."""

    order_id: UUID
    reason: AnyReason
    at: datetime
