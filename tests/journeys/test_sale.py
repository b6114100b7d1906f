"""A flash sale: what it survives, and which faults of a shop it finds."""

import asyncio
import json
import time
from io import StringIO
from pathlib import Path

import pytest
from aiohttp.test_utils import TestServer
from django.core.management import CommandError, call_command

from shop.flashsale import Client, Figures, Listener, ShopError, client, hold_sale, outcome
from shop.flashsale.figures import Latency
from tests.journeys.faulty_shop import FaultyShop


def sale(faulty: FaultyShop, *, buyers: int = 40, stock: int = 10, listener: Listener | None = None) -> Figures:
    async def run() -> Figures:
        async with TestServer(faulty.application()) as server:
            access = {"staff_token": "staff", "member_tokens": ["one", "two"]}
            async with Client.opened(str(server.make_url("")), **access, connections=8) as shop:
                wanted = {"buyers": buyers, "stock": stock, "concurrency": 8, "timeout": 0.3}
                return await hold_sale(shop, **wanted, listener=listener or Listener())

    return asyncio.run(run())


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "PAUSE", (0.01, 0.1))
    monkeypatch.setattr(outcome, "PAUSE", 0.1)


def test_everything_is_sold_and_the_rest_cancelled() -> None:
    heard: list[int] = []
    figures = sale(FaultyShop(), listener=Listener(answered=heard.append))
    assert (figures.accepted, figures.confirmed, figures.cancelled) == (40, 10, 30)
    assert (figures.available, figures.reserved, figures.retries) == (0, 10, 0)
    assert (figures.refused_sold_out, figures.gate_closed_within_ms) == (0, None)
    assert figures.problems == []
    assert heard == list(range(1, 41))


def test_what_is_not_sold_is_left() -> None:
    figures = sale(FaultyShop(), buyers=5, stock=10)
    assert (figures.confirmed, figures.available, figures.problems) == (5, 5, [])


def test_a_request_that_was_not_answered_is_sent_again_under_its_key() -> None:
    shop = FaultyShop(loses_answers=5, fails=5)
    figures = sale(shop)
    assert figures.retries >= 10
    assert (figures.accepted, len(shop.orders), figures.problems) == (40, 40, [])


def test_a_buyer_who_is_told_to_wait_waits_and_orders_then() -> None:
    began = time.monotonic()
    figures = sale(FaultyShop(throttles=3))
    assert time.monotonic() - began > 1
    assert (figures.accepted, figures.refused, figures.retries) == (40, 0, 3)


def test_some_buyers_send_their_order_twice_at_once_and_a_shop_that_takes_it_for_two_is_found_out() -> None:
    figures = sale(FaultyShop(forgets_keys=True))
    assert figures.duplicated > 0
    assert "40 accepted" not in " ".join(figures.problems)
    assert any("duplicates" in problem for problem in figures.problems)


def test_an_order_that_nobody_was_told_of_is_a_duplicate() -> None:
    figures = sale(FaultyShop(forgets_keys=True, loses_answers=1), buyers=10)
    assert figures.duplicated == 1
    assert figures.problems == ["1 orders are duplicates", "9 confirmed + 0 available are not 10 in stock"]


def test_a_shop_that_oversells_is_found_out() -> None:
    figures = sale(FaultyShop(oversells=2))
    assert (figures.confirmed, figures.oversold) == (12, 2)
    assert "2 pieces oversold" in figures.problems


def test_orders_that_stay_open_are_undecided_after_the_time_out() -> None:
    figures = sale(FaultyShop(never_decides=3))
    assert figures.undecided == 3
    assert "3 orders are undecided" in figures.problems


def test_the_buyers_wait_until_the_product_can_be_ordered() -> None:
    figures = sale(FaultyShop(hears_late=3))
    assert (figures.accepted, figures.refused, figures.problems) == (40, 0, [])


def test_the_buyers_wait_until_the_gate_is_open() -> None:
    figures = sale(FaultyShop(opens_late=3))
    assert (figures.accepted, figures.refused, figures.gate_closed_within_ms, figures.problems) == (40, 0, None, [])


def test_a_product_of_which_there_is_nothing_may_be_sold_out_from_the_beginning() -> None:
    figures = sale(FaultyShop(opens_late=1_000), stock=0)
    assert (figures.accepted, figures.refused, figures.refused_sold_out, figures.problems) == (0, 40, 40, [])


def test_refusals_are_counted_by_their_code() -> None:
    listener = Listener()
    figures = sale(FaultyShop(sells_out=True), listener=listener)
    assert (figures.confirmed, figures.cancelled) == (10, 0)
    assert figures.refused == 30
    assert listener.refused == {"order_refused sold_out": 30}
    assert figures.refused_sold_out == 30
    assert figures.gate_closed_within_ms is not None
    assert 0 <= figures.gate_closed_within_ms < 5_000
    assert figures.problems == []


def test_the_outcome_is_read_by_the_page_and_not_by_the_order() -> None:
    shop = FaultyShop()
    sale(shop, buyers=140)
    assert 20 <= shop.looks < 100  # there are twenty pages


def test_a_shop_that_is_away_is_said_to_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "PATIENCE", 0.2)
    with pytest.raises(ShopError, match="no answer for"):
        sale(FaultyShop(fails=1_000_000))


@pytest.mark.parametrize(("option", "value"), [("--buyers", "0"), ("--buyers", "many"), ("--stock", "-1")])
def test_the_command_refuses_numbers_that_make_no_sense(option: str, value: str) -> None:
    with pytest.raises(CommandError, match="is not a whole number from"):
        call_command("flashsale", option, value)


def test_latencies_are_percentiles_in_milliseconds() -> None:
    assert Latency.of([n / 1000 for n in range(1, 101)]) == Latency(p50=50.5, p99=99.0)
    assert Latency.of([0.25]) == Latency(p50=250, p99=250)
    assert Latency.of([]) == Latency(p50=0, p99=0)


def test_the_command_leaves_with_the_reasons_and_figures_by_name(tmp_path: Path) -> None:
    async def run() -> tuple[str, str, int | str | None]:
        out, err = StringIO(), StringIO()
        async with TestServer(FaultyShop(oversells=1).application()) as server:
            stack = tmp_path / "stack.json"
            stack.write_text(
                json.dumps({"base_url": str(server.make_url("")), "staff_token": "s", "member_tokens": ["m"]})
            )
            arguments = ("--buyers", "20", "--stock", "3", "--json", "--stack", stack)
            with pytest.raises(SystemExit) as left:
                await asyncio.to_thread(call_command, "flashsale", *arguments, stdout=out, stderr=err)
        return out.getvalue(), err.getvalue(), left.value.code

    out, err, code = asyncio.run(run())
    figures = json.loads(out)
    assert code == 1
    assert "1 pieces oversold" in err
    assert (figures["buyers"], figures["oversold"], figures["latency_intake_ms"]["p50"] > 0) == (20, 1, True)


def test_the_command_says_what_it_misses(tmp_path: Path) -> None:
    (tmp_path / "stack.json").write_text("{}")
    with pytest.raises(CommandError, match="No base url, staff token, member tokens: start the shop"):
        call_command("flashsale", "--stack", tmp_path / "stack.json")
