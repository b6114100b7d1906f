"""The events that the orders context publishes."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

import msgspec

from shop.messaging.events import Event, event


class LineCampaign(msgspec.Struct, frozen=True, kw_only=True):
    """The campaign that a line was sold in."""

    id: UUID
    allotment: int
    """Units that all members together can buy of it."""


class Line(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One product of an order, as it was when the order was placed."""

    sku: str
    name: str
    category: str
    price: int
    """Minor units per unit sold."""
    quantity: int
    campaign: LineCampaign | None = None


class Short(msgspec.Struct, frozen=True, kw_only=True):
    """A line that could not be filled."""

    sku: str
    requested: int
    available: int


class Reason(msgspec.Struct, frozen=True, kw_only=True, tag_field="code", omit_defaults=True):
    """Why an order was cancelled. ``code`` is stable, for machines."""

    detail: ClassVar[str]

    def shown(self) -> dict[str, Any]:
        """Return what readers see: ``code``, ``detail`` and the reason's own fields."""
        data = msgspec.to_builtins(self)
        return {"code": data["code"], "detail": self.detail, **data}


class Refusal(Reason, frozen=True, kw_only=True):
    """A participant refused. The first refusal decides."""

    also: tuple[Mapping[str, Any], ...] = ()
    """Further refusals, which arrived when the order was cancelled already; each is a reason like this one."""

    def shown(self) -> dict[str, Any]:
        shown = super().shown()
        return shown | {"also": [read_reason(further).shown() for further in self.also]} if self.also else shown


class OutOfStock(Refusal, frozen=True, kw_only=True, tag="out_of_stock"):
    """There was too little of one product or more; every short line is named."""

    lines: tuple[Short, ...]
    detail = "There is not enough in stock."


class AllotmentExhausted(Refusal, frozen=True, kw_only=True, tag="allotment_exhausted"):
    """Other members were faster: a campaign has too little left."""

    sku: str
    """The first line that is refused so."""
    lines: tuple[Short, ...] = ()
    """Every line that is; ``available`` is what is left of its campaign."""
    detail = "There is not enough left of the campaign."


class CreditTooLow(Refusal, frozen=True, kw_only=True, tag="credit_refused"):
    """The member's credit does not cover the order's total."""

    missing: int
    """Minor units."""
    detail = "The order exceeds the member's credit."


class CancelledByMember(Reason, frozen=True, kw_only=True, tag="cancelled_by_member"):
    detail = "The member cancelled the order."


class CancelledByStaff(Reason, frozen=True, kw_only=True, tag="cancelled_by_staff"):
    detail = "The shop cancelled the order."


class TimedOut(Reason, frozen=True, kw_only=True, tag="timed_out"):
    detail = "The order could not be decided in time."


KnownReason = OutOfStock | AllotmentExhausted | CreditTooLow | CancelledByMember | CancelledByStaff | TimedOut


class UnknownReason(msgspec.Struct, frozen=True, kw_only=True):
    """A reason that a newer orders context gave; its fields are kept and shown as they came."""

    data: Mapping[str, Any]
    detail: ClassVar[str] = "The order was cancelled."

    def shown(self) -> dict[str, Any]:
        """Return what readers see: ``code``, a neutral ``detail`` and whatever else the reason says."""
        return {**self.data, "code": str(self.data.get("code", "unknown")), "detail": self.detail}


AnyReason = KnownReason | UnknownReason


def read_reason(data: Mapping[str, Any]) -> AnyReason:
    """Read the reason of an :class:`OrderCancelled`. Never fails: what is not understood is :class:`UnknownReason`."""
    try:
        reason: AnyReason = msgspec.convert(data, KnownReason)
    except msgspec.ValidationError:
        reason = UnknownReason(data=data)
    return reason


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
    participants: tuple[str, ...] = ("inventory",)
    """The contexts whose answers decide the order. A context that is not named takes nothing for it."""


@event("orders.order-confirmed")
class OrderConfirmed(OrderEvent):
    """Every participant agreed."""

    at: datetime


@event("orders.order-cancelled")
class OrderCancelled(OrderEvent):
    """The order was cancelled; participants release what they hold."""

    reason: Mapping[str, Any]
    """Read it by :func:`read_reason`."""
    at: datetime


@event("orders.order-shipped")
class OrderShipped(OrderEvent):
    """The goods left: what was reserved is used up."""

    at: datetime


class Returned(msgspec.Struct, frozen=True, kw_only=True):
    """A line of which goods came back."""

    sku: str
    quantity: int
    """Of all returns of the order so far, this one included."""


@event("orders.order-returned")
class OrderReturned(OrderEvent):
    """Goods of a shipped order came back. It tells all of the order's returns so far, not only the last."""

    lines: tuple[Returned, ...]
    """Every line of which something came back."""
    refunded: int
    """What those goods cost, in minor units."""
    at: datetime
