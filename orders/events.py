"""What the orders context says."""

from datetime import datetime
from typing import Any, ClassVar
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


class Reason(msgspec.Struct, frozen=True, kw_only=True, tag_field="code"):
    """Why an order was cancelled. ``code`` is stable, for machines."""

    detail: ClassVar[str]

    def shown(self) -> dict[str, Any]:
        """As readers are shown it: ``code``, ``detail`` and its own fields."""
        data = msgspec.to_builtins(self)
        return {"code": data["code"], "detail": self.detail, **data}


class OutOfStock(Reason, frozen=True, kw_only=True, tag="out_of_stock"):
    """There was too little of one product or more; every short line is named."""

    lines: tuple[Short, ...]
    detail = "There is not enough in stock."


class CancelledByMember(Reason, frozen=True, kw_only=True, tag="cancelled_by_member"):
    detail = "The member cancelled the order."


class CancelledByStaff(Reason, frozen=True, kw_only=True, tag="cancelled_by_staff"):
    detail = "The shop cancelled the order."


class TimedOut(Reason, frozen=True, kw_only=True, tag="timed_out"):
    detail = "The order could not be decided in time."


AnyReason = OutOfStock | CancelledByMember | CancelledByStaff | TimedOut


class OrderEvent(Event):
    """Something that happened to an order."""

    order_id: UUID


@event("orders.order-created")
class OrderCreated(OrderEvent):
    """A member placed an order; nothing is reserved yet."""

    member_id: int
    lines: tuple[Line, ...]
    """At most one for each SKU."""
    total: int
    currency: str
    placed_at: datetime


@event("orders.order-confirmed")
class OrderConfirmed(OrderEvent):
    """Everything that the order needs is reserved for it."""

    at: datetime


@event("orders.order-cancelled")
class OrderCancelled(OrderEvent):
    """The order came to nothing; whoever reserved something for it releases it."""

    reason: AnyReason
    at: datetime
