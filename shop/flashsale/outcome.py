"""What became of the orders, as the shop's list tells: page by page, never order by order."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from shop.flashsale.buyers import Intake
from shop.flashsale.client import Client

PAUSE = 0.5  # seconds between two looks, at the least; and twice as long as the look took


@dataclass(frozen=True)
class Decision:
    """What an order came to, and when by the shop's clock."""

    status: str
    placed_at: datetime
    decided_at: datetime


class Outcome:
    """The decided ones among the sale's orders, as far as they were seen.

    :param since: by the shop's clock, before the first order.
    """

    def __init__(self, shop: Client, sku: str, *, since: datetime) -> None:
        self.decided: dict[str, Decision] = {}
        self._shop = shop
        self._sku = sku
        self._since = since

    async def wait_for(self, intake: Intake, *, limit: float, listener: Callable[[int], None]) -> None:
        """Until the intake is over and all its orders are decided, or no more of them were for ``limit`` seconds.

        Each look starts at the earliest order that was not decided at the last one. ``listener`` hears how many are.
        """
        news, was_over = time.monotonic(), False
        while True:
            over = intake.is_over  # before what is missing: no order comes later
            began, before = time.monotonic(), len(self.decided)
            if missing := self._missing(intake):
                await self._look(since=min(missing) - timedelta(milliseconds=1))
            listener(len(self.decided))
            if over and not self._missing(intake):
                return
            now = time.monotonic()
            if len(self.decided) > before or not was_over:
                news, was_over = now, over
            elif now - news > limit:
                return
            await asyncio.sleep(max(PAUSE, 2 * (now - began)))

    def _missing(self, intake: Intake) -> list[datetime]:
        """When each order was placed that was not seen decided."""
        return [placed_at for order_id, placed_at in intake.placed.items() if order_id not in self.decided]

    async def strangers(self, known: Iterable[str]) -> list[str]:
        """Orders of the product that are none of the known ones: no buyer was told of them."""
        told_of = set(known)
        return [order["id"] async for order in self._listed(self._since) if order["id"] not in told_of]

    async def _look(self, *, since: datetime) -> None:
        async for order in self._listed(since):
            if order["decided_at"] is not None:
                self.decided[order["id"]] = Decision(
                    order["status"],
                    datetime.fromisoformat(order["placed_at"]),
                    datetime.fromisoformat(order["decided_at"]),
                )

    async def _listed(self, since: datetime) -> AsyncIterator[dict[str, Any]]:
        async for order in self._shop.orders(include="cancelled", placed_after=since.isoformat()):
            if any(line["sku"] == self._sku for line in order["lines"]):
                yield order
