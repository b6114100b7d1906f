"""The rules of the ledger. Pure: no Django, no I/O, no clock."""

from collections.abc import Iterable, Mapping

from inventory.events import Shortage

RECEIVED, RESERVED, RELEASED, ADJUSTED = "received", "reserved", "released", "adjusted"

EFFECTS: Mapping[str, tuple[int, int]] = {
    RECEIVED: (1, 0),
    RESERVED: (-1, 1),
    RELEASED: (1, -1),
    ADJUSTED: (1, 0),
}
"""What one unit of each kind of movement does to (available, reserved)."""


def needs_of(lines: Iterable[tuple[str, int]]) -> dict[str, int]:
    """What an order needs of each SKU: lines of one SKU are added up."""
    needs: dict[str, int] = {}
    for sku, quantity in lines:
        needs[sku] = needs.get(sku, 0) + quantity
    return needs


def shortages(needs: Mapping[str, int], available: Mapping[str, int]) -> tuple[Shortage, ...]:
    """Every SKU of which there is less than needed; a SKU that is not in stock at all has 0 available."""
    return tuple(
        Shortage(sku=sku, requested=quantity, available=available.get(sku, 0))
        for sku, quantity in needs.items()
        if available.get(sku, 0) < quantity
    )
