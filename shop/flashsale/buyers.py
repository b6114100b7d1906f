"""The buyers: each orders one piece, and some press the button twice."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

from shop.flashsale.client import Answer, Client, ShopError

IMPATIENT = 20  # one buyer in so many sends its order twice at once, under one key

KNOWN_WITHIN = 60  # seconds until the orders must have heard of a new product, and that it is in stock
SOLD_OUT = "sold_out"  # the code of a line that the gate refused

LOOK = 0.1  # seconds between two tries until then


@dataclass
class Intake:
    """The answers that the buyers got."""

    placed: dict[str, datetime] = field(default_factory=dict)
    """When each accepted order was placed, by its id."""
    doubled: list[str] = field(default_factory=list)
    """Keys that stood for more than one order."""
    refused: Counter[str] = field(default_factory=Counter)
    """By code."""
    gate_met: datetime | None = None
    """When the first buyer was told that the product is sold out, by the buyers' clock."""
    latencies: list[float] = field(default_factory=list)
    """Seconds from sending to being answered, retries included."""
    seconds: float = 0.0
    """From the first order to the last answer, once it is over."""

    @property
    def refused_sold_out(self) -> int:
        """How many orders the sold-out gate refused."""
        return sum(count for codes, count in self.refused.items() if SOLD_OUT in codes.split())

    @property
    def is_over(self) -> bool:
        """Whether every buyer was answered."""
        return self.seconds > 0


class Buyers:
    """So many buyers of one product, a bounded number of them at once.

    :param in_stock: whether there is anything to sell: then the sale is not open while the product is sold out.
    :param arrive_over: seconds over which they arrive, evenly; 0 for all of them at once.
    :param opened: is called when the product can be ordered.
    :param answered: hears how many buyers were.
    """

    def __init__(
        self,
        shop: Client,
        sku: str,
        count: int,
        *,
        concurrency: int,
        in_stock: bool,
        arrive_over: float,
        opened: Callable[[], None],
        answered: Callable[[int], None],
    ) -> None:
        self.intake = Intake()
        self._shop = shop
        self._sku = sku
        self._count = count
        self._concurrency = concurrency
        self._closed = {"unknown_product", SOLD_OUT} if in_stock else {"unknown_product"}
        self._arrive_over = arrive_over
        self._opened = opened
        self._answered = answered
        self._began = 0.0

    async def buy(self) -> None:
        """All of them; the first one waits until the product can be ordered.

        :raises ShopError: when the shop is away for long.
        """
        away: BaseExceptionGroup[ShopError] | None = None
        numbers = iter(range(self._count))
        await self._open_the_sale(next(numbers))
        self._began = time.monotonic()
        self._opened()
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(min(self._concurrency, self._count)):
                    group.create_task(self._take_turns(numbers))
        except* ShopError as errors:
            away = errors
        if away:
            raise ShopError(str(away.exceptions[0]))
        self.intake.seconds = time.monotonic() - self._began

    async def _open_the_sale(self, number: int) -> None:
        """The orders hear of a product, and that it is in stock, a little after the catalogue and the inventory."""
        limit = time.monotonic() + KNOWN_WITHIN
        token = self._shop.next_member()
        while True:
            answer, seconds = await self._send(number, token)
            if not answer.codes & self._closed:
                self._note(number, [answer], seconds)
                return
            if time.monotonic() > limit:
                codes = " ".join(sorted(answer.codes & self._closed))
                raise ShopError(f"{self._sku} cannot be ordered after {KNOWN_WITHIN} s ({codes}): does a worker run?")
            await asyncio.sleep(LOOK)

    async def _take_turns(self, numbers: Iterator[int]) -> None:
        for number in numbers:
            due = self._began + self._arrive_over * number / self._count
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            token = self._shop.next_member()
            times = 2 if number % IMPATIENT == IMPATIENT - 1 else 1
            answered = await asyncio.gather(*(self._send(number, token) for _ in range(times)))
            self._note(number, [answer for answer, _ in answered], max(seconds for _, seconds in answered))

    async def _send(self, number: int, token: str) -> tuple[Answer, float]:
        began = time.monotonic()
        answer = await self._shop.order(self._sku, token=token, key=self._key(number))
        if self._began and SOLD_OUT in answer.codes and self.intake.gate_met is None:
            self.intake.gate_met = datetime.now(UTC)
        return answer, time.monotonic() - began

    def _note(self, number: int, answers: list[Answer], seconds: float) -> None:
        placed = {a.body["id"]: datetime.fromisoformat(a.body["placed_at"]) for a in answers if a.status in (200, 202)}
        if len(placed) > 1 or placed.keys() & self.intake.placed.keys():
            self.intake.doubled.append(self._key(number))
        if not placed:
            self.intake.refused[" ".join(sorted(answers[0].codes))] += 1
        self.intake.placed |= placed
        self.intake.latencies.append(seconds)
        self._answered(len(self.intake.latencies))

    def _key(self, number: int) -> str:
        return f"{self._sku}-{number}"
