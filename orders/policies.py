"""The rules of an order: how it is taken in, and how its life goes on. Pure: no Django, no I/O, no clock."""

from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Any, NamedTuple, Protocol

from orders.events import Line

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


def price(lines: Sequence[Wanted], offers: Mapping[str, Offer]) -> tuple[Line, ...]:
    """Add names and prices as they are now: a snapshot, which later changes do not touch."""
    return tuple(
        Line(
            sku=sku,
            name=offers[sku].name,
            category=offers[sku].category,
            price=offers[sku].price,
            quantity=quantity,
        )
        for sku, quantity in lines
    )
