"""The rules of taking an order in. Pure: no Django, no I/O, no clock."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from orders.events import Line


class Wanted(NamedTuple):
    """A line as the buyer asked for it."""

    sku: str
    quantity: int


class Offer(Protocol):
    """A product as orders know it."""

    sku: str
    name: str
    category: str
    price: int
    listed: bool


def merge(lines: Sequence[Wanted]) -> list[Wanted]:
    """One line for each SKU, quantities added up, in the order of first mention."""
    quantities: dict[str, int] = {}
    for line in lines:
        quantities[line.sku] = quantities.get(line.sku, 0) + line.quantity
    return [Wanted(sku, quantity) for sku, quantity in quantities.items()]


def faults(lines: Sequence[Wanted], offers: Mapping[str, Offer]) -> list[dict[str, Any]]:
    """What is wrong with each line that cannot be ordered: ``sku``, ``code`` and ``detail``."""
    found = []
    for sku, _ in lines:
        if sku not in offers:
            found.append({"sku": sku, "code": "unknown_product", "detail": f"There is no product {sku!r}."})
        elif not offers[sku].listed:
            found.append({"sku": sku, "code": "not_listed", "detail": f"{offers[sku].name} is not for sale now."})
    return found


def price(lines: Sequence[Wanted], offers: Mapping[str, Offer]) -> tuple[Line, ...]:
    """The lines with what the products are called and cost now: a snapshot that later changes do not touch."""
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
