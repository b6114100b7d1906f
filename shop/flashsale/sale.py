"""Holding a sale: product, stock, buyers, outcome, figures."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from shop.flashsale.buyers import Buyers, Intake
from shop.flashsale.client import Client
from shop.flashsale.figures import Figures, Latency
from shop.flashsale.outcome import Outcome

PRICE = 1_00  # minor units

SKEW = timedelta(minutes=5)  # that the shop's clock may be behind ours


def _nothing(count: int) -> None: ...


@dataclass
class Listener:
    """Hears how many buyers are ``answered`` and how many orders ``decided``, and what is ``said`` as a step begins."""

    said: Callable[[str], None] = lambda line: None
    answered: Callable[[int], None] = _nothing
    decided: Callable[[int], None] = _nothing
    refused: Counter[str] = field(default_factory=Counter)


async def hold_sale(
    shop: Client, *, buyers: int, stock: int, concurrency: int, timeout: float, listener: Listener
) -> Figures:
    """Sell ``stock`` pieces of a product of its own to so many buyers, each of whom wants one.

    :param concurrency: buyers at once.
    :param timeout: seconds without any decision after which the rest counts as undecided.
    :raises ShopError: when the shop is away for long.
    """
    since = datetime.now(UTC)
    sku = f"flash-{since:%Y%m%d-%H%M%S-%f}"
    listener.said(f"{stock} pieces of {sku} for {buyers} buyers")
    await shop.add_product(sku, name=f"Flash sale {since:%H:%M:%S} 限时抢购", category="flash sale", price=PRICE)
    await shop.receive(sku, stock)
    outcome = Outcome(shop, sku, since=since - SKEW)
    began = time.monotonic()
    crowd = Buyers(shop, sku, buyers, concurrency=concurrency, answered=listener.answered)
    watching = asyncio.create_task(outcome.wait_for(crowd.intake, limit=timeout, listener=listener.decided))
    try:
        await crowd.buy()
        listener.said("every buyer was answered; waiting for the decisions")
        await watching
    finally:
        watching.cancel()
    seconds = time.monotonic() - began
    return await _figures(
        shop, sku, crowd.intake, outcome, buyers=buyers, stock=stock, seconds=seconds, listener=listener
    )


async def _figures(
    shop: Client,
    sku: str,
    intake: Intake,
    outcome: Outcome,
    *,
    buyers: int,
    stock: int,
    seconds: float,
    listener: Listener,
) -> Figures:
    strangers = await outcome.strangers(intake.placed)
    left = await shop.stock(sku)
    ours = [outcome.decided[order_id] for order_id in intake.placed if order_id in outcome.decided]
    statuses = Counter(decision.status for decision in ours)
    confirmed = statuses["confirmed"] + statuses["shipped"]
    listener.refused.update(intake.refused)
    return Figures(
        sku=sku,
        buyers=buyers,
        stock=stock,
        accepted=len(intake.placed),
        refused=intake.refused.total(),
        confirmed=confirmed,
        cancelled=statuses["cancelled"],
        undecided=len(intake.placed) - len(ours),
        available=left["available"],
        reserved=left["reserved"],
        oversold=max(0, confirmed - stock, left["reserved"] - stock, -left["available"]),
        duplicated=len(strangers) + len(intake.doubled),
        retries=shop.retries,
        seconds=round(seconds, 2),
        decided_per_second=round(len(ours) / seconds, 1),
        intake_per_second=round(buyers / intake.seconds, 1),
        latency_intake_ms=Latency.of(intake.latencies),
        latency_decided_ms=Latency.of([(each.decided_at - each.placed_at).total_seconds() for each in ours]),
    )
