"""The rules of an order: how it is taken in, and how its life goes on. Pure: no Django, no I/O, no clock."""

from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol
from uuid import UUID

from orders.events import Line, LineCampaign

# --- Its life -------------------------------------------------------------------------------------

OPEN, CONFIRMED, SHIPPED, CANCELLED = "open", "confirmed", "shipped", "cancelled"


class Act(StrEnum):
    """What happens to an order after it was placed."""

    AGREE = "agree"
    """The last of its participants agrees."""
    REFUSE = "refuse"
    """A participant refuses."""
    CANCEL = "cancel"
    EXPIRE = "expire"
    SHIP = "ship"
    RETURN = "return"


LIFE: Mapping[tuple[str, Act], str] = {
    (OPEN, Act.AGREE): CONFIRMED,
    (OPEN, Act.REFUSE): CANCELLED,
    (OPEN, Act.CANCEL): CANCELLED,
    (OPEN, Act.EXPIRE): CANCELLED,
    (CONFIRMED, Act.REFUSE): CANCELLED,  # of a participant that was restored, and answers anew
    (CONFIRMED, Act.CANCEL): CANCELLED,
    (CONFIRMED, Act.SHIP): SHIPPED,
    (SHIPPED, Act.RETURN): SHIPPED,
}
"""The status that follows. An act that is not here is impossible; an answer that is not here changes nothing."""

UNNAMED = ("inventory",)
"""The participants of orders that name none: those placed before participants were named."""


def all_agreed(participants: Iterable[str], granted: Iterable[str]) -> bool:
    """Whether everyone whose answer decides the order agreed."""
    return set(participants or UNNAMED) <= set(granted)


def unreturnable(
    lines: Sequence["Wanted"], *, ordered: Mapping[str, int], returned: Mapping[str, int]
) -> list[dict[str, Any]]:
    """List the lines that cannot come back, and why: ``sku``, ``code`` and ``detail`` of each."""
    refused = []
    for sku, quantity in lines:
        left = ordered.get(sku, 0) - returned.get(sku, 0)
        if sku not in ordered:
            refused.append({"sku": sku, "code": "not_ordered", "detail": f"The order has no {sku}."})
        elif quantity > left:
            detail = f"{left} of {ordered[sku]} {sku} can still be returned, not {quantity}."
            refused.append({"sku": sku, "code": "too_many", "detail": detail})
    return refused


# --- Intake ---------------------------------------------------------------------------------------


class Wanted(NamedTuple):
    """A line that the buyer requested."""

    sku: str
    quantity: int


class Offer(Protocol):
    """The fields of a product that taking an order needs."""

    sku: str
    name: str
    category: str
    price: int
    listed: bool
    sold_out: bool


class Sale(NamedTuple):
    """A campaign that runs now, as an order needs it."""

    id: UUID
    price: int
    limit: int
    """Units that a member can buy over the campaign's life."""
    allotment: int
    """Units that all members together can buy."""


NO_SALES: Mapping[str, Sale] = MappingProxyType({})


def merge(lines: Sequence[Wanted]) -> list[Wanted]:
    """Merge lines of one SKU into one, adding up quantities, in the order of first mention."""
    quantities: dict[str, int] = {}
    for line in lines:
        quantities[line.sku] = quantities.get(line.sku, 0) + line.quantity
    return [Wanted(sku, quantity) for sku, quantity in quantities.items()]


def faults(lines: Sequence[Wanted], offers: Mapping[str, Offer]) -> list[dict[str, Any]]:
    """List the lines that cannot be ordered, and why: ``sku``, ``code`` and ``detail`` of each."""
    refused = []
    for sku, _ in lines:
        if sku not in offers:
            refused.append({"sku": sku, "code": "unknown_product", "detail": f"There is no product {sku!r}."})
        elif not offers[sku].listed:
            refused.append({"sku": sku, "code": "not_listed", "detail": f"{offers[sku].name} is not for sale now."})
        elif offers[sku].sold_out:
            detail = f"{offers[sku].name} is sold out. Order without it, or try again when it is back in stock."
            refused.append({"sku": sku, "code": "sold_out", "detail": detail})
    return refused


def price(
    lines: Sequence[Wanted], offers: Mapping[str, Offer], sales: Mapping[str, Sale] = NO_SALES
) -> tuple[Line, ...]:
    """Add names and prices as they are now, those of campaigns first: a snapshot, which later changes do not touch."""
    return tuple(_line(wanted, offers[wanted.sku], sales.get(wanted.sku)) for wanted in lines)


def _line(wanted: Wanted, offer: Offer, sale: Sale | None) -> Line:
    return Line(
        sku=wanted.sku,
        name=offer.name,
        category=offer.category,
        price=offer.price if sale is None else sale.price,
        quantity=wanted.quantity,
        campaign=None if sale is None else LineCampaign(id=sale.id, allotment=sale.allotment),
    )


def beyond_limit(line: Line, *, taken: int, limit: int) -> dict[str, Any]:
    """Refuse a line that exceeds what its member can have of a campaign."""
    left = max(0, limit - taken)
    way_out = f"order at most {left}" if left else "order it when the sale is over, at the usual price"
    return {
        "sku": line.sku,
        "code": "campaign_limit",
        "detail": f"A member can buy {limit} of {line.name} in this sale, and your orders have {taken}: {way_out}.",
        "limit": limit,
        "taken": taken,
    }
