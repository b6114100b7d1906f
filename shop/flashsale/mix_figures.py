"""What a mixed trade comes to, in figures, and whether they add up."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, kw_only=True)
class MixFigures:
    """Names are part of ``--json``."""

    sku: str
    """What the products' SKUs begin with."""
    buyers: int
    stock: int
    """Pieces, of all products together."""
    accepted: int
    refused: int
    shipped: int
    cancelled: int
    undecided: int
    """Orders that are still open, or confirmed and neither shipped nor cancelled."""
    reasons: dict[str, int] = field(default_factory=dict)
    """Cancelled orders, by the reason's code."""
    units_shipped: int
    units_returned: int
    returns: int
    """Pieces that the shop said it took back."""
    unsold: int
    """Pieces that were left when all orders were decided, though buyers were refused for lack of them: they were
    held for an order that came to nothing, since its member had too little credit or cancelled it."""
    available: int
    reserved: int
    oversold: int
    unheard: int
    """Orders that nobody was told of."""
    missing: int
    """Pieces that are neither available, reserved nor gone to a buyer, or are so twice."""
    retries: int
    seconds: float

    @classmethod
    def of(
        cls,
        *,
        name: str,
        buyers: int,
        stock: Mapping[str, int],
        left: Mapping[str, Mapping[str, int]],
        orders: Sequence[Mapping[str, Any]],
        placed: set[str],
        refused: int,
        returns: int,
        unsold: int,
        retries: int,
        seconds: float,
    ) -> "MixFigures":
        """Add up what the orders and the stock show."""
        statuses = Counter(order["status"] for order in orders)
        gone, back = Counter[str](), Counter[str]()
        for order in orders:
            for line in order["lines"] if order["status"] == "shipped" else ():
                gone[line["sku"]] += line["quantity"]
                back[line["sku"]] += line["returned"]
        missing = {
            sku: pieces - left[sku]["available"] - left[sku]["reserved"] - gone[sku] + back[sku]
            for sku, pieces in stock.items()
        }
        return cls(
            sku=name,
            buyers=buyers,
            stock=sum(stock.values()),
            accepted=len(placed),
            refused=refused,
            shipped=statuses["shipped"],
            cancelled=statuses["cancelled"],
            undecided=len(placed - {order["id"] for order in orders if order["status"] in ("shipped", "cancelled")}),
            reasons=dict(Counter(order["reason"]["code"] for order in orders if order["reason"]).most_common()),
            units_shipped=gone.total(),
            units_returned=back.total(),
            returns=returns,
            unsold=unsold,
            available=sum(item["available"] for item in left.values()),
            reserved=sum(item["reserved"] for item in left.values()),
            oversold=sum(max(0, gone[sku] - back[sku] - pieces) for sku, pieces in stock.items()),
            unheard=len({order["id"] for order in orders} - placed),
            missing=sum(map(abs, missing.values())),
            retries=retries,
            seconds=round(seconds, 2),
        )

    @property
    def problems(self) -> list[str]:
        """What is wrong, in words; nothing of a trade that went well."""
        problems = []
        if self.accepted + self.refused != self.buyers:
            problems.append(f"{self.accepted} accepted + {self.refused} refused are not {self.buyers} buyers")
        if self.oversold:
            problems.append(f"{self.oversold} pieces oversold")
        if self.undecided:
            problems.append(f"{self.undecided} orders are neither shipped nor cancelled")
        if self.unheard:
            problems.append(f"{self.unheard} orders are duplicates")
        if self.returns != self.units_returned:
            problems.append(f"{self.returns} pieces were taken back, and {self.units_returned} are shown")
        if self.missing:
            problems.append(f"{self.missing} of {self.stock} pieces are unaccounted for")
        return problems
