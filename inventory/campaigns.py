"""The allotments of campaigns: counted with the reservation, given back when it is released, kept when it is shipped.

The inventory does not hear marketing: each line of an order says in which campaign it was sold, and how many units
all members together can buy of it.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple
from uuid import UUID

from django.db import connections

from inventory.events import Shortage
from inventory.models import Allotment, Reservation
from inventory.policies import shortages
from shop.setwise import arrays

# In the order of the keys, as the rows are locked: who makes the same rows at once waits for the first.
OPEN = """
INSERT INTO inventory_allotment (campaign_id, sku, allotment, taken)
SELECT campaign_id, sku, allotment, 0
FROM unnest(%s::uuid[], %s::text[], %s::bigint[]) AS sold (campaign_id, sku, allotment)
ORDER BY campaign_id ON CONFLICT (campaign_id) DO NOTHING
"""


class Sold(NamedTuple):
    """A line of an order that was sold in a campaign."""

    campaign_id: UUID
    sku: str
    allotment: int


class Allotments:
    """How much of some campaigns is taken, locked. Who locks claims and stock items too does so before."""

    def __init__(self, sold: Iterable[Sold], reservations: Iterable[Reservation]) -> None:
        """Lock and load the campaigns of these lines and reservations, in two queries, or none if there are none.

        The first order that comes from a campaign opens its row; its allotment is fixed from then on.
        """
        campaigns = {line.campaign_id: line for line in sold}
        ids = {*campaigns, *(held.campaign_id for held in reservations if held.campaign_id is not None)}
        self._rows: dict[UUID, Allotment] = {}
        if campaigns:
            with connections["inventory"].cursor() as cursor:
                columns = zip(*campaigns.values(), strict=True)
                writers = (arrays.of_plain, arrays.of_text, arrays.of_plain)
                cursor.execute(OPEN, [write(column) for write, column in zip(writers, columns, strict=True)])
        if ids:
            rows = Allotment.objects.filter(pk__any_of=ids).order_by("pk").select_for_update()
            self._rows = {row.campaign_id: row for row in rows}

    def exhausted(self, needs: Mapping[str, int], sold_in: Mapping[str, UUID]) -> tuple[Shortage, ...]:
        """List every SKU of which its campaign has too little left."""
        left = {sku: self._rows[campaign_id].left for sku, campaign_id in sold_in.items()}
        return shortages({sku: needs[sku] for sku in sold_in}, left)

    def take(self, reservations: Iterable[Reservation]) -> list[Allotment]:
        """Count these reservations; return the rows to store."""
        return self._move(reservations, 1)

    def give_back(self, reservations: Iterable[Reservation]) -> list[Allotment]:
        """Give back what these reservations took; return the rows to store."""
        return self._move(reservations, -1)

    def _move(self, reservations: Iterable[Reservation], sign: int) -> list[Allotment]:
        moved = []
        for reservation in reservations:
            if reservation.campaign_id is not None:
                row = self._rows[reservation.campaign_id]
                row.taken += sign * reservation.quantity
                moved.append(row)
        return moved
