"""The list of orders over HTTP, from the read model."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db import connections
from django.utils import timezone
from rest_framework.test import APIClient

from orders import services
from orders.events import CancelledByMember
from orders.models import Order
from orders.policies import Wanted
from readmodel.models import Cursor
from readmodel.views import ListedReason
from tests.contexts.api import client_of, is_problem, staff
from tests.harness import Shop

ORDERS = "/api/orders/"
DAY = datetime(2024, 5, 1, tzinfo=UTC)


@pytest.fixture
def ada(shop: Shop) -> APIClient:
    return client_of(shop.member())


@pytest.fixture
def orders(shop: Shop, ada: APIClient) -> list[Order]:
    """Of the same member: five orders, a day apart, oldest first; the second is cancelled, the last is open."""
    shop.sell("phone", stock=9)
    shop.drain()
    member_id, placed = member_of(ada), []
    for number in range(5):
        at = DAY + timedelta(days=number)
        order, _ = services.place_order(member_id=member_id, lines=[Wanted("phone", 1)], key=None, at=at)
        placed.append(order)
        if number == 1:
            services.cancel_order(order_id=order.pk, reason=CancelledByMember(), at=timezone.now())
        if number == 3:
            shop.drain()
    shop.scan()
    while any("project_orders" in delivery.task for delivery in shop.deliveries.waiting):
        shop.deliveries.next("project_orders").deliver()
    return placed


def member_of(client: APIClient) -> int:
    return client.get("/api/members/me/").json()["id"]


def listed(client: APIClient, query: str = "") -> list[str]:
    response = client.get(f"{ORDERS}{query}")
    assert response.status_code == 200, response.content
    return [order["id"] for order in response.json()["results"]]


def ids(*orders: Order) -> list[str]:
    return [str(order.pk) for order in orders]


def test_own_orders_are_listed_newest_first_without_the_cancelled(ada: APIClient, orders: list[Order]) -> None:
    assert listed(ada) == ids(orders[4], orders[3], orders[2], orders[0])


def test_cancelled_orders_are_shown_when_asked_for(ada: APIClient, orders: list[Order]) -> None:
    assert listed(ada, "?include=cancelled") == ids(*reversed(orders))
    assert listed(ada, "?status=cancelled") == ids(orders[1])


def test_orders_are_found_by_status(ada: APIClient, orders: list[Order]) -> None:
    assert listed(ada, "?status=open") == ids(orders[4])
    assert listed(ada, "?status=open&status=cancelled") == ids(orders[4], orders[1])


def test_orders_are_found_by_when_they_were_placed(ada: APIClient, orders: list[Order]) -> None:
    assert listed(ada, "?placed_after=2024-05-03T00:00:00Z") == ids(orders[4], orders[3])
    assert listed(ada, "?placed_before=2024-05-03T01:00:00%2B01:00") == ids(orders[0])


def test_a_filter_that_makes_no_sense_is_refused(ada: APIClient) -> None:
    for query in (
        "status=lost", "include=everything", "placed_after=yesterday", "placed_before=%00", "member=me", "member=1.5",
        "page_size=0", "page_size=-1", "page_size=ten", "cursor=x", "cursor=cD14", "cursor=cD0lMDA%3D",
    ):  # fmt: skip
        response = ada.get(f"{ORDERS}?{query}")
        assert is_problem(response, 400, "invalid"), query
        assert [error["path"] for error in response.json()["errors"]] == [query.partition("=")[0]], query


def test_a_reason_is_listed_with_just_the_fields_that_the_schema_declares(shop: Shop, ada: APIClient) -> None:
    shop.sell("phone", stock=1)
    shop.drain()
    shop.place(("phone", 2), member_id=member_of(ada))
    shop.drain()
    (order,) = ada.get(f"{ORDERS}?status=cancelled").json()["results"]
    shape = ListedReason().fields
    assert list(order["reason"]) == [name for name in shape if name not in ("sku", "missing")]  # of other reasons
    assert list(order["reason"]["lines"][0]) == list(shape["lines"].child.fields)


def test_an_order_is_listed_in_the_shape_in_which_it_is_shown_alone(ada: APIClient, orders: list[Order]) -> None:
    for order in ada.get(f"{ORDERS}?include=cancelled").json()["results"]:
        alone = ada.get(f"{ORDERS}{order['id']}/").json()
        assert order.pop("member") == {"id": member_of(ada), "name": "Ada"}
        assert order == alone | {"queue": None}
        assert list(order) == list(alone)


def test_a_member_sees_its_own_orders_alone(orders: list[Order], shop: Shop) -> None:
    bob = client_of(shop.member("bob"))
    assert listed(bob) == []
    assert listed(bob, f"?member={orders[0].member_id}") == []


def test_staff_for_orders_see_everyones_and_may_choose_a_member(orders: list[Order]) -> None:
    sam = staff("orders")
    assert len(listed(sam)) == 4
    assert len(listed(sam, f"?member={orders[0].member_id}")) == 4
    assert listed(sam, f"?member={orders[0].member_id + 1}") == []


def test_pages_hold_as_many_as_asked_for_and_lead_on_and_back(ada: APIClient, orders: list[Order]) -> None:
    first = ada.get(f"{ORDERS}?page_size=3").json()
    assert first.keys() == {"next", "previous", "results"}
    assert (len(first["results"]), first["previous"]) == (3, None)
    second = ada.get(first["next"]).json()
    assert ([order["id"] for order in second["results"]], second["next"]) == (ids(orders[0]), None)
    assert ada.get(second["previous"]).json()["results"] == first["results"]


def test_an_answer_says_how_fresh_it_is(ada: APIClient, orders: list[Order]) -> None:
    Cursor.objects.update(fresh_at=DAY)
    Cursor.objects.filter(pk=Cursor.objects.first().pk).update(fresh_at=DAY - timedelta(seconds=1))
    assert ada.get(ORDERS)["X-Fresh-At"] == "2024-04-30T23:59:59Z"


def test_an_answer_does_not_pretend_to_be_fresh_while_a_lane_was_never_read(
    ada: APIClient, orders: list[Order]
) -> None:
    Cursor.objects.filter(pk=Cursor.objects.first().pk).update(fresh_at=None)
    assert "X-Fresh-At" not in ada.get(ORDERS)


def test_a_list_takes_as_many_queries_for_many_orders_as_for_one(
    ada: APIClient, orders: list[Order], django_assert_num_queries
) -> None:
    for size in (1, 5):
        with (
            django_assert_num_queries(3, connection=connections["default"]),  # the member, and its permissions
            django_assert_num_queries(2, connection=connections["readmodel"]),
            django_assert_num_queries(0, connection=connections["orders"]),
        ):
            assert len(listed(ada, f"?include=cancelled&page_size={size}")) == size
