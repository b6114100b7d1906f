"""The mixed trade's figures: what adds up, and what does not."""

from typing import Any

import pytest

from shop.flashsale import MixFigures


def order(number: int, status: str, quantity: int = 2, *, returned: int = 0, reason: str = "") -> dict[str, Any]:
    return {
        "id": str(number),
        "status": status,
        "lines": [{"sku": "a", "quantity": quantity, "returned": returned}],
        "reason": {"code": reason} if reason else None,
    }


ORDERS = [
    order(1, "shipped"),
    order(2, "shipped", returned=1),
    order(3, "cancelled", reason="credit_refused"),
    order(4, "cancelled", reason="out_of_stock"),
    order(5, "cancelled", reason="credit_refused"),
]


def figures(orders: list[dict[str, Any]] | None = None, *, available: int = 7, **changed: Any) -> MixFigures:
    values: dict[str, Any] = {
        "name": "mix",
        "buyers": 6,
        "stock": {"a": 10},
        "left": {"a": {"available": available, "reserved": 0}},
        "orders": ORDERS if orders is None else orders,
        "placed": {"1", "2", "3", "4", "5"},
        "refused": 1,
        "returns": 1,
        "unsold": 0,
        "retries": 0,
        "seconds": 1.0,
    }
    return MixFigures.of(**values | changed)


def test_a_trade_that_adds_up_has_no_problems() -> None:
    mix = figures()
    assert mix.problems == []
    assert (mix.accepted, mix.shipped, mix.cancelled, mix.undecided) == (5, 2, 3, 0)
    assert (mix.units_shipped, mix.units_returned) == (4, 1)
    assert mix.reasons == {"credit_refused": 2, "out_of_stock": 1}


@pytest.mark.parametrize(
    ("mix", "problem"),
    [
        (figures(available=6), "1 of 10 pieces are unaccounted for"),
        (figures(available=8), "1 of 10 pieces are unaccounted for"),
        (figures(refused=0), "5 accepted + 0 refused are not 6 buyers"),
        (figures(returns=2), "2 pieces were taken back, and 1 are shown"),
        (figures([*ORDERS, order(6, "cancelled", reason="timed_out")]), "1 orders are duplicates"),
        (figures([order(1, "confirmed"), *ORDERS[1:]], available=9), "1 orders are neither shipped nor cancelled"),
        (figures([order(1, "shipped", 12), *ORDERS[1:]], available=-3), "3 pieces oversold"),
    ],
)
def test_what_does_not_add_up_is_a_problem(mix: MixFigures, problem: str) -> None:
    assert mix.problems == [problem]


def test_two_products_do_not_make_up_for_each_other() -> None:
    left = {"a": {"available": 6, "reserved": 0}, "b": {"available": 6, "reserved": 0}}
    assert figures(stock={"a": 10, "b": 5}, left=left).missing == 2
