"""A mixed trade beside the plain sale: whatever can happen to an order happens to some.

Carts have several lines, some members have too little credit, some cancel; then the staff ships what was confirmed,
or cancels it, and some goods come back. The plain sale says how fast the shop is; this one, whether it adds up.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from random import Random
from typing import Any

from shop.flashsale.buyers import KNOWN_WITHIN, LOOK
from shop.flashsale.client import Answer, Client, ShopError
from shop.flashsale.mix_figures import MixFigures
from shop.flashsale.sale import SKEW, Listener

PRODUCTS = 4
PRICE = 10_00  # minor units, of the first product; the second costs twice as much, and so on

POOR = 5  # one member in so many has credit for a few carts only
POOR_CREDIT = 20 * PRICE  # minor units, beyond what is in use already

LOOK_AT_ORDERS = 0.5  # seconds between two looks at what became of the orders

Order = Mapping[str, Any]


@dataclass
class Placed:
    """What the buyers did, and were answered."""

    orders: dict[str, str] = field(default_factory=dict)
    """The member's token, by the order's id."""
    refused: Counter[str] = field(default_factory=Counter)
    """By code."""
    lacking: Counter[str] = field(default_factory=Counter)
    """Units that were refused since the product was sold out, by SKU."""
    cancelled: set[str] = field(default_factory=set)
    """Orders that their members asked to cancel."""


class Mix:
    """One mixed trade. What each buyer does follows from its number, so it can be repeated."""

    def __init__(
        self, shop: Client, *, buyers: int, stock: int, concurrency: int, timeout: float, listener: Listener
    ) -> None:
        self._shop = shop
        self._buyers = buyers
        self._stock = stock
        self._concurrency = concurrency
        self._timeout = timeout
        self._listener = listener
        self._since = datetime.now(UTC)
        self._name = f"mix-{self._since:%Y%m%d-%H%M%S-%f}"
        self._skus = [f"{self._name}-{number}" for number in range(1, PRODUCTS + 1)]
        self._placed = Placed()
        self._returns = 0  # pieces, as the shop confirmed

    async def hold(self, *, arrive_over: float) -> MixFigures:
        """:raises ShopError: when the shop is away for long, or does not come to rest."""
        self._listener.said(f"{PRODUCTS} products of {self._stock} pieces each for {self._buyers} carts")
        await self._stock_up()
        began = time.monotonic()
        limits = await self._make_some_poor()
        try:
            await self._open(self._skus[0])
            self._listener.opened()
            await self._everyone(range(self._buyers), self._buy, arrive_over=arrive_over)
            self._listener.said("every buyer was answered; waiting for the decisions")
            orders = await self._when(lambda orders: all(order["status"] != "open" for order in orders))
        finally:
            for member, limit in limits.items():
                await self._limit(member, limit)
        self._listener.refused.update(self._placed.refused)
        unsold = self._unsold(orders, await self._settled(orders))
        confirmed = [order for order in orders if order["status"] == "confirmed"]
        self._listener.said(f"{len(confirmed)} orders were confirmed; they are shipped, cancelled, some come back")
        await self._everyone(confirmed, self._fulfil)
        orders = await self._when(self._is_fulfilled)
        stock = await self._settled(orders)
        return MixFigures.of(
            name=self._name,
            buyers=self._buyers,
            stock=dict.fromkeys(self._skus, self._stock),
            left=stock,
            orders=orders,
            placed=set(self._placed.orders),
            refused=self._placed.refused.total(),
            returns=self._returns,
            unsold=unsold,
            retries=self._shop.retries,
            seconds=time.monotonic() - began,
        )

    # Before

    async def _stock_up(self) -> None:
        for number, sku in enumerate(self._skus, start=1):
            await self._shop.add_product(sku, name=f"Mixed {number}", category="mixed", price=number * PRICE)
            await self._shop.receive(sku, self._stock)

    async def _make_some_poor(self) -> dict[int, int]:
        """Lower the limits of some members; return what they were, by member."""
        limits = {}
        for token in self._shop.members[::POOR]:
            me = self._shop.expected(await self._shop.call("GET", "/api/members/me/", token=token))
            credit = me["credit"]
            limits[me["id"]] = credit["limit"]
            await self._limit(me["id"], min(credit["limit"], credit["reserved"] + credit["spent"] + POOR_CREDIT))
        return limits

    async def _limit(self, member: int, limit: int) -> None:
        path = f"/api/members/{member}/credit/"
        self._shop.expected(await self._shop.call("PATCH", path, body={"limit": limit}))

    async def _open(self, sku: str) -> None:
        """Wait until the orders know the last product. No order comes of that: one line is of none."""
        limit = time.monotonic() + KNOWN_WITHIN
        while True:
            lines = [{"sku": sku, "quantity": 1} for sku in (*self._skus, "mix-unknown")]
            answer = await self._shop.place(lines, token=self._shop.members[0], key=f"{self._name}-open")
            if [line["sku"] for line in answer.body.get("lines", ())] == ["mix-unknown"]:
                return
            if time.monotonic() > limit:
                raise ShopError(f"The orders have not heard of {sku} within {KNOWN_WITHIN} s: does a worker run?")
            await asyncio.sleep(LOOK)

    # Buyers and staff

    async def _everyone(
        self, things: Sequence[Any], act: Callable[[Any], Awaitable[None]], *, arrive_over: float = 0
    ) -> None:
        """Do it for each, a bounded number at once, evenly over a time."""
        began, numbered = time.monotonic(), iter(enumerate(things))

        async def take_turns(numbers: Iterator[tuple[int, Any]]) -> None:
            for number, thing in numbers:
                await asyncio.sleep(max(0.0, began + arrive_over * number / len(things) - time.monotonic()))
                await act(thing)

        away: BaseExceptionGroup[ShopError] | None = None
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(min(self._concurrency, len(things))):
                    group.create_task(take_turns(numbered))
        except* ShopError as errors:
            away = errors
        if away:
            raise ShopError(str(away.exceptions[0]))

    async def _buy(self, number: int) -> None:
        dice = Random(number)
        token = self._shop.members[number % len(self._shop.members)]
        lines = [
            {"sku": sku, "quantity": dice.randint(1, 2)} for sku in dice.sample(self._skus, dice.choice((1, 1, 2, 3)))
        ]
        answer = await self._shop.place(lines, token=token, key=f"{self._name}-{number}")
        if answer.status not in (200, 202):
            self._note_refusal(answer, lines)
        else:
            order_id = answer.body["id"]
            self._placed.orders[order_id] = token
            if dice.random() < 0.1:
                self._placed.cancelled.add(order_id)
                await self._act(order_id, "cancel", token=token)
        self._listener.answered(len(self._placed.orders) + self._placed.refused.total())

    def _note_refusal(self, answer: Answer, lines: Sequence[Mapping[str, Any]]) -> None:
        self._placed.refused[" ".join(sorted(answer.codes))] += 1
        sold_out = {line["sku"] for line in answer.body.get("lines", ()) if line.get("code") == "sold_out"}
        for line in lines:
            self._placed.lacking[line["sku"]] += line["quantity"] if line["sku"] in sold_out else 0

    async def _fulfil(self, order: Order) -> None:
        """Ship most orders, and take back a piece of some; cancel the others."""
        dice = Random(order["id"])
        if dice.random() < 0.15:
            await self._act(order["id"], "cancel")
            return
        await self._act(order["id"], "ship")
        if dice.random() < 0.3:
            sku = dice.choice(order["lines"])["sku"]
            answer = await self._act(order["id"], "returns", {"lines": [{"sku": sku, "quantity": 1}]})
            self._returns += 1 if answer.status == 200 else 0

    async def _act(self, order_id: str, act: str, body: Any = None, *, token: str | None = None) -> Answer:
        """What an order's state forbids, 409, is none of our business: somebody else was first."""
        path, key = f"/api/orders/{order_id}/{act}/", f"{order_id}-{act}"
        return await self._shop.call("POST", path, token=token, body=body or {}, headers={"Idempotency-Key": key})

    # What became of it

    async def _orders(self) -> list[Order]:
        """Every order of the mix, as the list shows it."""
        return [
            order
            async for order in self._shop.orders(include="cancelled", placed_after=(self._since - SKEW).isoformat())
            if any(line["sku"] in self._skus for line in order["lines"])
        ]

    async def _when(self, holds: Callable[[Collection[Order]], bool]) -> list[Order]:
        """Look until it holds of the orders, and all of them are shown; at most until nothing changes for long."""
        seen: Counter[str] = Counter()
        limit = time.monotonic() + self._timeout
        while True:
            orders = await self._orders()
            statuses = Counter(order["status"] for order in orders)
            self._listener.decided(len(orders) - statuses["open"])
            if len(orders) >= len(self._placed.orders) and holds(orders):
                return orders
            if statuses != seen:
                seen, limit = statuses, time.monotonic() + self._timeout
            if time.monotonic() > limit:
                return orders
            await asyncio.sleep(LOOK_AT_ORDERS)

    def _is_fulfilled(self, orders: Collection[Order]) -> bool:
        """Whether nothing waits for the staff, and everything that came back is shown."""
        shown = sum(line["returned"] for order in orders for line in order["lines"])
        return shown == self._returns and not any(order["status"] == "confirmed" for order in orders)

    async def _settled(self, orders: Sequence[Order]) -> dict[str, dict[str, int]]:
        """The stock, by SKU, once it holds what these orders hold; or as it is when that does not come to be."""
        held = Counter[str]()
        for order in orders:
            for line in order["lines"]:
                held[line["sku"]] += line["quantity"] if order["status"] == "confirmed" else 0
        limit = time.monotonic() + self._timeout
        while True:
            stock = {sku: await self._shop.stock(sku) for sku in self._skus}
            if all(stock[sku]["reserved"] == held[sku] for sku in self._skus) or time.monotonic() > limit:
                return stock
            await asyncio.sleep(LOOK_AT_ORDERS)

    def _unsold(self, orders: Sequence[Order], stock: Mapping[str, Mapping[str, int]]) -> int:
        """Units that are left, though buyers were refused for lack of them."""
        lacking = Counter(self._placed.lacking)
        for order in orders:
            reason = order["reason"] or {}
            for line in reason.get("lines", ()) if reason.get("code") == "out_of_stock" else ():
                lacking[line["sku"]] += line["requested"]
        return sum(min(stock[sku]["available"], lacking[sku]) for sku in self._skus)


async def hold_mix(
    shop: Client,
    *,
    buyers: int,
    stock: int,
    concurrency: int,
    timeout: float,
    listener: Listener,
    arrive_over: float = 0,
) -> MixFigures:
    """Let so many buyers order carts of a few products, ``stock`` pieces of each, and see what becomes of it all.

    :param concurrency: buyers at once.
    :param timeout: seconds without any change after which it is over.
    :param arrive_over: seconds over which the buyers arrive; 0 for all of them at once.
    :raises ShopError: when the shop is away for long.
    """
    mix = Mix(shop, buyers=buyers, stock=stock, concurrency=concurrency, timeout=timeout, listener=listener)
    return await mix.hold(arrive_over=arrive_over)
