"""Shipping and returns, as services and over HTTP."""

from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from orders.models import Order, OrderReturn, UnableToReturn, UnableToShip
from orders.policies import Wanted
from orders.services import return_goods, ship_order
from shop.console.audit import audit
from tests.contexts.api import client_of, is_problem, staff
from tests.harness import Shop, in_background


@pytest.fixture
def confirmed(shop: Shop) -> Order:
    shop.sell("phone", price=300, stock=5)
    shop.sell("case", price=20, stock=5)
    shop.drain()
    order = shop.place(("phone", 2), ("case", 1), member_id=shop.member().pk)
    shop.drain()
    return shop.order(order)


def take_back(order: Order, *lines: tuple[str, int]) -> Order:
    return return_goods(order_id=order.pk, lines=[Wanted(*line) for line in lines], at=timezone.now())


@pytest.fixture
def clerk(confirmed: Order) -> Any:
    return staff("orders")


def test_a_shipped_order_shows_it_everywhere(shop: Shop, confirmed: Order) -> None:
    ship_order(order_id=confirmed.pk, at=timezone.now())
    shop.drain()
    assert [status for status, _ in shop.order(confirmed).history] == ["open", "confirmed", "shipped"]
    view = shop.view(confirmed)
    assert view.status == "shipped"
    assert [entry["status"] for entry in view.history] == ["open", "confirmed", "shipped"]
    assert audit().broken == []


def test_only_a_confirmed_order_is_shipped_and_only_once(shop: Shop, confirmed: Order) -> None:
    ship_order(order_id=confirmed.pk, at=timezone.now())
    with pytest.raises(UnableToShip, match="shipped"):
        ship_order(order_id=confirmed.pk, at=timezone.now())
    still_open = shop.place(("phone", 1))
    with pytest.raises(UnableToShip, match="open"):
        ship_order(order_id=still_open.pk, at=timezone.now())


def test_goods_come_back_line_by_line_until_nothing_is_left(shop: Shop, confirmed: Order) -> None:
    ship_order(order_id=confirmed.pk, at=timezone.now())
    take_back(confirmed, ("phone", 1))
    take_back(confirmed, ("phone", 1), ("case", 1))
    shop.drain()
    assert shop.order(confirmed).returned == {"phone": 2, "case": 1}
    assert [line["returned"] for line in shop.view(confirmed).lines] == [2, 1]
    with pytest.raises(UnableToReturn) as refusal:
        take_back(confirmed, ("phone", 1), ("lamp", 1))
    assert [(line["sku"], line["code"]) for line in refusal.value.extra["lines"]] == [
        ("phone", "too_many"),
        ("lamp", "not_ordered"),
    ]
    assert audit().broken == []


def test_of_two_returns_at_once_no_more_comes_back_than_was_shipped(shop: Shop, confirmed: Order) -> None:
    ship_order(order_id=confirmed.pk, at=timezone.now())
    racing = [in_background(lambda: take_back(confirmed, ("case", 1))) for _ in range(4)]
    refused = [work for work in racing if isinstance(work.exception(30), UnableToReturn)]
    assert len(refused) == 3
    assert OrderReturn.objects.get().total == 1


def test_a_return_that_the_read_model_hears_twice_counts_once(shop: Shop, confirmed: Order) -> None:
    ship_order(order_id=confirmed.pk, at=timezone.now())
    take_back(confirmed, ("phone", 1))
    shop.drain()
    for cursor in shop.cursors():
        if (cursor.consumer, cursor.source) == ("readmodel", "orders"):
            type(cursor).objects.filter(pk=cursor.pk).update(position=0)
    shop.time_out()
    shop.drain()
    assert [line["returned"] for line in shop.view(confirmed).lines] == [1, 0]


def test_staff_ships_and_takes_back_over_http(shop: Shop, confirmed: Order, clerk: Any) -> None:
    path = f"/api/orders/{confirmed.pk}"
    early = clerk.post(f"{path}/returns/", {"lines": [{"sku": "phone", "quantity": 1}]}, format="json")
    assert is_problem(early, 409, "unable_to_return")
    shipped = clerk.post(f"{path}/ship/", {}, format="json")
    assert (shipped.status_code, shipped.json()["status"]) == (200, "shipped")
    again = clerk.post(f"{path}/ship/", {}, format="json")
    assert (again.status_code, again.json()["code"], again.json()["status_now"]) == (409, "unable_to_ship", "shipped")
    request: dict[str, Any] = {"lines": [{"sku": "phone", "quantity": 1}, {"sku": "phone", "quantity": 1}]}
    for _ in range(2):
        back = clerk.post(f"{path}/returns/", request, format="json", headers={"Idempotency-Key": "k"})
        assert back.status_code == 200
        assert [line["returned"] for line in back.json()["lines"]] == [2, 0]
    refused = clerk.post(f"{path}/returns/", request, format="json", headers={"Idempotency-Key": "other"})
    assert (refused.status_code, refused.json()["lines"][0]["code"]) == (409, "too_many")
    shop.drain()
    (listed,) = clerk.get("/api/orders/").json()["results"]
    assert (listed["status"], [line["returned"] for line in listed["lines"]]) == ("shipped", [2, 0])


def test_a_member_ships_nothing_and_takes_nothing_back(confirmed: Order) -> None:
    owner = client_of(User.objects.get(pk=confirmed.member_id))
    for act in ("ship", "returns"):
        answer = owner.post(f"/api/orders/{confirmed.pk}/{act}/", {}, format="json")
        assert answer.status_code == 403, act


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"lines": []},
        {"lines": [{"sku": "phone"}]},
        {"lines": [{"sku": "phone", "quantity": 0}]},
        {"lines": [{"sku": "phone", "quantity": 1}], "reason": "broken"},
    ],
)
def test_a_malformed_return_is_refused_and_changes_nothing(confirmed: Order, clerk: Any, body: Any) -> None:
    ship_order(order_id=confirmed.pk, at=timezone.now())
    assert clerk.post(f"/api/orders/{confirmed.pk}/returns/", body, format="json").status_code == 400
    assert not OrderReturn.objects.exists()


def test_an_order_that_is_not_there_is_not_shipped(clerk: Any) -> None:
    answer = clerk.post(f"/api/orders/{uuid4()}/ship/", {}, format="json")
    assert answer.status_code == 404
