"""What a sale comes to, in figures, and whether that is right."""

from dataclasses import dataclass
from statistics import quantiles


@dataclass(frozen=True, kw_only=True)
class Latency:
    """Milliseconds, at two percentiles."""

    p50: float
    p99: float

    @classmethod
    def of(cls, seconds: list[float]) -> "Latency":
        """Of any number of measurements; 0 of none."""
        if not seconds:
            return cls(p50=0, p99=0)
        percentiles = quantiles(seconds * 2 if len(seconds) == 1 else seconds, n=100, method="inclusive")
        return cls(p50=round(percentiles[49] * 1000, 1), p99=round(percentiles[98] * 1000, 1))


@dataclass(frozen=True, kw_only=True)
class Figures:
    """The sale in figures. Names are part of ``--json``."""

    sku: str
    buyers: int
    stock: int
    accepted: int
    """Orders; without those refused at once."""
    refused: int
    """Orders that were refused at once, for whatever reason."""
    refused_sold_out: int
    """Of those, the ones that the sold-out gate refused."""
    confirmed: int
    cancelled: int
    """Orders that were accepted all the same, before the gate was closed, and then cancelled."""
    undecided: int
    available: int
    """What the stock endpoint shows at the end."""
    reserved: int
    oversold: int
    """Pieces promised beyond what there was."""
    duplicated: int
    """Orders that nobody was told of, and keys that stood for more than one order."""
    retries: int
    """Requests that were sent again, since no answer came or it was a 5xx."""
    seconds: float
    """From the first order to the last decision seen."""
    decided_per_second: float
    intake_per_second: float
    gate_closed_within_ms: float | None
    """From the reservation of the last unit, by the inventory's clock, to the first answer that refused the product as
    sold out, by the buyers'. The gate closed in between: it is an upper bound, and comes in steps of how often somebody
    orders. The reservation's time is that at which its batch began. None if no buyer met the gate closed."""
    latency_intake_ms: Latency
    """From sending to the answer, by the buyer's clock."""
    latency_decided_ms: Latency
    """From placed to decided, by the shop's clock. It begins within the intake, and may be shorter: an order is placed
    when its row is written, after its request has waited, and maybe after tries that nobody answered."""
    slowest: str | None
    """The id of the order that waited longest for its decision; None if none was decided."""

    @property
    def problems(self) -> list[str]:
        """What is wrong, in words; nothing of a sale that went well."""
        problems = []
        if self.accepted + self.refused != self.buyers:
            problems.append(f"{self.accepted} accepted + {self.refused} refused are not {self.buyers} buyers")
        if self.oversold:
            problems.append(f"{self.oversold} pieces oversold")
        if self.undecided:
            problems.append(f"{self.undecided} orders are undecided")
        if self.duplicated:
            problems.append(f"{self.duplicated} orders are duplicates")
        if self.accepted != self.confirmed + self.cancelled + self.undecided:
            problems.append(f"{self.confirmed} confirmed + {self.cancelled} cancelled are not {self.accepted} accepted")
        if self.confirmed + self.available != self.stock:
            problems.append(f"{self.confirmed} confirmed + {self.available} available are not {self.stock} in stock")
        return problems
