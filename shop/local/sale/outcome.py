"""What became of the orders, as the shop's list tells: page by page, never order by order."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from shop.local.sale.shop import Shop

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

    def __init__(self, shop: Shop, sku: str, *, since: datetime) -> None:
        self.decided: dict[str, Decision] = {}
        self._shop = shop
        self._sku = sku
        self._since = since

    async def wait_for(self, placed: dict[str, datetime], *, limit: float, told: Callable[[int], None]) -> None:
        """Until all these orders are decided, or no more of them were for ``limit`` seconds.

        Each look starts at the earliest order that was not decided at the last one. ``told`` hears how many are.
        """
        missing = dict(placed)
        news = time.monotonic()
        while missing and time.monotonic() - news < limit:
            began = time.monotonic()
            await self._look(since=min(missing.values()) - timedelta(milliseconds=1))
            before = len(missing)
            missing = {order_id: at for order_id, at in missing.items() if order_id not in self.decided}
            now = time.monotonic()
            if len(missing) < before:
                news = now
            told(len(self.decided))
            if missing:
                await asyncio.sleep(max(PAUSE, 2 * (now - began)))

    async def strangers(self, known: Iterable[str]) -> list[str]:
        """Orders of the product that are none of the known ones: nobody was told of them."""
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
