"""The rules of the ledger. Pure: no Django, no I/O, no clock."""

from collections.abc import Iterable, Mapping

from inventory.events import Shortage

MAX_MOVEMENT = 1_000_000_000  # units of one SKU that are received, or counted more or less, at once

RECEIVED, ADJUSTED = "received", "adjusted"
RESERVED, RELEASED, SHIPPED, RETURNED = "reserved", "released", "shipped", "returned"  # for an order

EFFECTS: Mapping[str, tuple[int, int]] = {
    RECEIVED: (1, 0),
    RESERVED: (-1, 1),
    RELEASED: (1, -1),
    SHIPPED: (0, -1),
    RETURNED: (1, 0),
    ADJUSTED: (1, 0),
}
"""The effect of one unit of each kind of movement on (available, reserved)."""


def needs_of(lines: Iterable[tuple[str, int]]) -> dict[str, int]:
    """Add up the quantities of each SKU."""
    needs: dict[str, int] = {}
    for sku, quantity in lines:
        needs[sku] = needs.get(sku, 0) + quantity
    return needs


def shortages(needs: Mapping[str, int], available: Mapping[str, int]) -> tuple[Shortage, ...]:
    """List every SKU that is short; one without a stock item has 0 available."""
    return tuple(
        Shortage(sku=sku, requested=quantity, available=available.get(sku, 0))
        for sku, quantity in needs.items()
        if available.get(sku, 0) < quantity
    )
