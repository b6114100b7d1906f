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
    """Hears how far a sale has come."""

    said: Callable[[str], None] = lambda line: None
    """Hears what begins."""
    opened: Callable[[], None] = lambda: None
    """Is called when the product can be ordered, and the buyers begin."""
    answered: Callable[[int], None] = _nothing
    """Hears how many buyers are."""
    decided: Callable[[int], None] = _nothing
    """Hears how many orders are."""
    refused: Counter[str] = field(default_factory=Counter)


async def hold_sale(
    shop: Client,
    *,
    buyers: int,
    stock: int,
    concurrency: int,
    timeout: float,
    listener: Listener,
    arrive_over: float = 0,
) -> Figures:
    """Sell ``stock`` pieces of a product of its own to so many buyers, each of whom wants one.

    :param concurrency: buyers at once.
    :param timeout: seconds without any decision after which the rest counts as undecided.
    :param arrive_over: seconds over which the buyers arrive; 0 for all of them at once.
    :raises ShopError: when the shop is away for long.
    """
    since = datetime.now(UTC)
    sku = f"flash-{since:%Y%m%d-%H%M%S-%f}"
    listener.said(f"{stock} pieces of {sku} for {buyers} buyers")
    await shop.add_product(sku, name=f"Flash sale {since:%H:%M:%S} 限时抢购", category="flash sale", price=PRICE)
    await shop.receive(sku, stock)
    outcome = Outcome(shop, sku, since=since - SKEW)
    began = time.monotonic()
    crowd = Buyers(
        shop,
        sku,
        buyers,
        concurrency=concurrency,
        in_stock=stock > 0,
        arrive_over=arrive_over,
        opened=listener.opened,
        answered=listener.answered,
    )
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
    decisions = {order_id: outcome.decided[order_id] for order_id in intake.placed if order_id in outcome.decided}
    waits = {order_id: each.decided_at - each.placed_at for order_id, each in decisions.items()}
    statuses = Counter(decision.status for decision in decisions.values())
    confirmed = statuses["confirmed"] + statuses["shipped"]
    listener.refused.update(intake.refused)
    return Figures(
        sku=sku,
        buyers=buyers,
        stock=stock,
        accepted=len(intake.placed),
        refused=intake.refused.total(),
        refused_sold_out=intake.refused_sold_out,
        confirmed=confirmed,
        cancelled=statuses["cancelled"],
        undecided=len(intake.placed) - len(decisions),
        available=left["available"],
        reserved=left["reserved"],
        oversold=max(0, confirmed - stock, left["reserved"] - stock, -left["available"]),
        duplicated=len(strangers) + len(intake.doubled),
        retries=shop.retries,
        seconds=round(seconds, 2),
        decided_per_second=round(len(decisions) / seconds, 1),
        intake_per_second=round(buyers / intake.seconds, 1),
        gate_closed_within_ms=await _gate_closed_within(shop, sku, intake),
        latency_intake_ms=Latency.of(intake.latencies),
        latency_decided_ms=Latency.of([wait.total_seconds() for wait in waits.values()]),
        slowest=max(waits, key=waits.__getitem__, default=None),
    )


async def _gate_closed_within(shop: Client, sku: str, intake: Intake) -> float | None:
    """Milliseconds from the reservation before the first refusal as sold out, to that refusal; ``None`` without one."""
    if intake.gate_met is not None:
        async for movement in shop.reservations(sku):
            reserved_at = datetime.fromisoformat(movement["at"])
            if reserved_at <= intake.gate_met:
                return round((intake.gate_met - reserved_at).total_seconds() * 1000, 1)
    return None
