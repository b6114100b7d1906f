"""An order's life, pair by pair."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from orders.events import (
    CancelledByMember,
    CreditTooLow,
    Line,
    OrderCancelled,
    OrderConfirmed,
    OrderReturned,
    OrderShipped,
    OutOfStock,
    Returned,
    Short,
    TimedOut,
)
from orders.models import Order, Status, UnableToCancel, UnableToReturn, UnableToShip
from orders.policies import LIFE, Act, Wanted, all_agreed, unreturnable

NOW = datetime(2026, 11, 25, tzinfo=UTC)

SHORT = OutOfStock(lines=(Short(sku="phone", requested=2, available=1),))

ACTS: dict[Act, Callable[[Order], Any]] = {
    Act.AGREE: lambda order: order.agree("inventory", at=NOW),
    Act.REFUSE: lambda order: order.refuse(SHORT, at=NOW),
    Act.CANCEL: lambda order: order.cancel(reason=CancelledByMember(), at=NOW),
    Act.EXPIRE: lambda order: order.expire(at=NOW),
    Act.SHIP: lambda order: order.ship(at=NOW),
    Act.RETURN: lambda order: order.take_back([Wanted("phone", 1)], at=NOW),
}

RECORDED = {
    Act.AGREE: OrderConfirmed,
    Act.REFUSE: OrderCancelled,
    Act.CANCEL: OrderCancelled,
    Act.EXPIRE: OrderCancelled,
    Act.SHIP: OrderShipped,
    Act.RETURN: OrderReturned,
}

REFUSED = {
    Act.CANCEL: UnableToCancel,
    Act.EXPIRE: UnableToCancel,
    Act.SHIP: UnableToShip,
    Act.RETURN: UnableToReturn,
}


def order_that_is(status: str, *participants: str) -> Order:
    """An order of two phones, with nothing recorded."""
    line = Line(sku="phone", name="Phone", category="", price=300, quantity=2)
    order = Order.place(member_id=1, lines=(line,), currency="CNY", at=NOW, participants=participants or ("inventory",))
    order.status = status
    if status == Status.CANCELLED:
        order.reason_data = {"code": "timed_out"}
    order._recorded.clear()
    order._prefetched_objects_cache = {"returns": []}
    return order


@pytest.mark.parametrize("act", Act)
@pytest.mark.parametrize("status", Status.values)
def test_each_act_leads_where_the_table_says_or_nowhere(status: str, act: Act) -> None:
    order = order_that_is(status)
    follows = LIFE.get((status, act))
    if follows is None and act in REFUSED:
        with pytest.raises(REFUSED[act], match=status):
            ACTS[act](order)
    else:
        ACTS[act](order)
    assert order.status == (follows or status)
    assert [type(event) for event in order.recorded] == ([RECORDED[act]] if follows else [])


def test_the_table_has_no_status_that_an_order_cannot_have() -> None:
    assert {status for status, _ in LIFE} | set(LIFE.values()) == set(Status.values)


def test_nothing_leads_away_from_an_end_and_everything_leads_to_one() -> None:
    assert {status for (status, _), follows in LIFE.items() if follows != status} == {"open", "confirmed"}


@pytest.mark.parametrize("first", ["inventory", "members"])
def test_an_order_is_confirmed_by_the_last_of_its_participants_in_either_order(first: str) -> None:
    order = order_that_is("open", "inventory", "members")
    (second,) = {"inventory", "members"} - {first}
    assert order.agree(first, at=NOW)
    assert (order.status, order.recorded) == ("open", ())
    assert not order.agree(first, at=NOW), "the same answer again"
    assert order.agree(second, at=NOW)
    assert order.status == "confirmed"


def test_whoever_is_not_named_confirms_nothing() -> None:
    order = order_that_is("open", "inventory", "members")
    order.agree("marketing", at=NOW)
    order.agree("inventory", at=NOW)
    assert order.status == "open"


def test_an_order_that_names_nobody_is_decided_by_the_inventory_alone() -> None:
    assert all_agreed([], ["inventory"])
    assert not all_agreed([], ["members"])


def test_the_first_refusal_decides_and_a_later_one_is_kept_beside_it() -> None:
    order = order_that_is("open", "inventory", "members")
    order.refuse(CreditTooLow(missing=7), at=NOW)
    (cancelled,) = order.recorded
    assert order.refuse(SHORT, at=NOW)
    assert order.recorded == (cancelled,), "nobody has to hear of it"
    assert order.reason is not None
    assert json.loads(msgspec.json.encode(order.reason.shown())) == {
        "code": "credit_refused",
        "detail": "The order exceeds the member's credit.",
        "missing": 7,
        "also": [
            {
                "code": "out_of_stock",
                "detail": "There is not enough in stock.",
                "lines": [{"sku": "phone", "requested": 2, "available": 1}],
            }
        ],
    }
    assert not order.refuse(SHORT, at=NOW), "the same answer again"
    assert not order.refuse(CreditTooLow(missing=7), at=NOW), "the first answer again"


@pytest.mark.parametrize("reason", [CancelledByMember(), TimedOut()])
def test_a_refusal_of_an_order_that_somebody_cancelled_is_not_kept(reason: Any) -> None:
    order = order_that_is("open")
    order.cancel(reason=reason, at=NOW)
    assert not order.refuse(SHORT, at=NOW)
    assert order.reason == reason


def test_a_return_tells_the_sum_of_all_returns_and_what_it_cost() -> None:
    order = order_that_is("shipped")
    order.take_back([Wanted("phone", 1)], at=NOW)
    (event,) = order.recorded
    assert event == OrderReturned(order_id=order.pk, lines=(Returned(sku="phone", quantity=1),), refunded=300, at=NOW)


def test_every_line_that_cannot_come_back_is_named() -> None:
    lines = [Wanted("phone", 2), Wanted("case", 1), Wanted("lamp", 1)]
    refused = unreturnable(lines, ordered={"phone": 2, "case": 1}, returned={"phone": 1})
    assert [(line["sku"], line["code"]) for line in refused] == [("phone", "too_many"), ("lamp", "not_ordered")]
    assert refused[0]["detail"] == "1 of 2 phone can still be returned, not 2."
