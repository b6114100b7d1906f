"""The rules of taking an order in. Pure: no Django, no I/O, no clock."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from orders.events import Line


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
