"""Placing, reading and cancelling one order over HTTP."""

from datetime import timedelta
from uuid import uuid4

import pytest
from django.db import connections
from django.utils import timezone
from rest_framework.test import APIClient

from orders import services
from orders.models import Order
from orders.views import OrderShape
from shop.members import services as members
from shop.members.models import Member
from shop.values import MAX_LINES, MAX_QUANTITY
from tests.contexts.api import client_of, is_problem, paths, staff
from tests.harness import Shop

ORDERS = "/api/orders/"


@pytest.fixture
def ada(shop: Shop) -> APIClient:
    """A member, in a shop that sells a phone and a case."""
    member = shop.member()
    shop.sell("phone", price=500, stock=5)
    shop.sell("case", price=20, stock=5)
    shop.drain()
    return client_of(member)


def line(sku: str = "phone", quantity: object = 1) -> dict[str, object]:
    return {"sku": sku, "quantity": quantity}


def place(client: APIClient, *lines: dict[str, object], **headers: str):
    return client.post(ORDERS, {"lines": lines or [line()]}, headers=headers)


# --- Placing --------------------------------------------------------------------------------------


def test_a_placed_order_is_accepted_open_with_its_address_and_place_in_the_queue(ada: APIClient) -> None:
    response = place(ada, line("phone", 2), line("case", 3))
    assert response.status_code == 202
    order = response.json()
    assert response["Location"] == f"/api/orders/{order['id']}/"
    assert order.pop("id")
    placed_at = order.pop("placed_at")
    assert placed_at.endswith("Z")
    assert order == {
        "status": "open",
        "total": 1060,
        "currency": "CNY",
        "lines": [
            {"sku": "phone", "name": "Phone", "quantity": 2, "price": 500, "returned": 0},
            {"sku": "case", "name": "Case", "quantity": 3, "price": 20, "returned": 0},
        ],
        "reason": None,
        "queue": {"position": 0, "eta_seconds": None},
        "decided_at": None,
        "history": [{"status": "open", "at": placed_at}],
    }


def test_an_order_is_shown_with_just_the_fields_that_the_schema_declares(ada: APIClient) -> None:
    order = place(ada).json()
    shape = OrderShape().fields
    assert list(order) == list(shape)
    assert list(order["lines"][0]) == list(shape["lines"].child.fields)
    assert list(order["queue"]) == list(shape["queue"].fields)
    assert list(order["history"][0]) == list(shape["history"].child.fields)


def test_the_same_key_gets_the_same_order_as_it_is_by_then(ada: APIClient, shop: Shop) -> None:
    first = place(ada, line("phone", 1), line("case", 1), **{"Idempotency-Key": "k"})
    shop.drain()
    again = place(ada, line("phone", 1), line("case", 1), **{"Idempotency-Key": "k"})
    assert again.status_code == 202
    assert again["Location"] == first["Location"]
    assert (again.json()["id"], again.json()["status"]) == (first.json()["id"], "confirmed")
    assert Order.objects.count() == 1


def test_the_same_key_with_another_order_is_refused(ada: APIClient) -> None:
    place(ada, **{"Idempotency-Key": "k"})
    assert is_problem(place(ada, line("case"), **{"Idempotency-Key": "k"}), 422, "idempotency_key_reused")


def test_two_members_may_use_the_same_key(ada: APIClient, shop: Shop) -> None:
    bob = client_of(shop.member("bob"))
    assert place(ada, **{"Idempotency-Key": "k"}).json()["id"] != place(bob, **{"Idempotency-Key": "k"}).json()["id"]


def test_a_key_that_is_empty_too_long_or_not_printable_is_refused(ada: APIClient) -> None:
    for key in ("", "x" * 256, "tab\there", "schlüssel"):
        response = place(ada, **{"Idempotency-Key": key})
        assert is_problem(response, 400, "invalid"), key
        assert paths(response) == ["Idempotency-Key"], key
    assert place(ada, **{"Idempotency-Key": "x" * 255}).status_code == 202


def test_a_quantity_is_a_whole_number_in_its_bounds(ada: APIClient) -> None:
    for wrong in (0, -1, 1.0, 1.5, True, "", "two", "2.0", None, [], {}, MAX_QUANTITY + 1, 10**30):
        response = place(ada, line(), line("case", wrong))
        assert is_problem(response, 400, "invalid"), wrong
        assert paths(response) == ["lines.1.quantity"], wrong
    assert place(ada, line("phone", MAX_QUANTITY)).status_code == 202


def test_lines_of_one_product_may_not_add_up_to_more_than_one_line_may_have(ada: APIClient) -> None:
    response = place(ada, line("phone", MAX_QUANTITY), line("phone", 1))
    assert is_problem(response, 400, "invalid")
    assert paths(response) == ["lines"]
    assert "phone add up to 1000001" in response.json()["detail"]


FAULTS = (
    ({}, "lines"),
    ({"lines": []}, "lines"),
    ({"lines": "phone"}, "lines"),
    ({"lines": [line()] * (MAX_LINES + 1)}, "lines"),
    ({"lines": ["phone"]}, "lines.0"),
    ({"lines": [{"sku": "phone"}]}, "lines.0.quantity"),
    ({"lines": [{"quantity": 1}]}, "lines.0.sku"),
    ({"lines": [line("no such thing")]}, "lines.0.sku"),
    ({"lines": [{"sku": ["phone"], "quantity": 1}]}, "lines.0.sku"),
    ({"lines": [line() | {"price": 1}]}, "lines.0.price"),
    ({"lines": [line()], "cupon": "half"}, "cupon"),
    ([line()], ""),
)


def test_every_fault_of_the_body_is_named_by_its_path(ada: APIClient) -> None:
    for body, path in FAULTS:
        response = ada.post(ORDERS, body)
        assert is_problem(response, 400, "invalid"), body
        assert paths(response) == [path], body
    assert Order.objects.count() == 0


def test_every_line_that_cannot_be_ordered_is_named(ada: APIClient, shop: Shop) -> None:
    shop.sell("old", listed=False)
    shop.drain()
    response = place(ada, line("phone"), line("old"), line("none"))
    assert is_problem(response, 422, "order_refused")
    assert [(fault["sku"], fault["code"]) for fault in response.json()["lines"]] == [
        ("old", "not_listed"),
        ("none", "unknown_product"),
    ]


def test_only_members_place_orders(shop: Shop) -> None:
    assert is_problem(place(staff("orders")), 403, "not_a_member")


def test_a_deactivated_member_is_refused(ada: APIClient, shop: Shop) -> None:
    members.change_member(member_id=Member.objects.get().pk, active=False)
    shop.drain()
    assert is_problem(place(ada), 403, "member_inactive")


def test_accepting_an_order_takes_one_query_to_know_the_member_and_few_to_store_it(
    ada: APIClient, django_assert_num_queries
) -> None:
    place(ada)  # the number of lanes is remembered from the first
    lines = [line("phone"), line("case")]
    with (
        django_assert_num_queries(1, connection=connections["default"]),
        django_assert_num_queries(9, connection=connections["orders"]),
        django_assert_num_queries(0, connection=connections["catalogue"]),
        django_assert_num_queries(0, connection=connections["inventory"]),
        django_assert_num_queries(0, connection=connections["readmodel"]),
    ):
        assert place(ada, *lines).status_code == 202
    with django_assert_num_queries(11, connection=connections["orders"]):  # the key is looked for, and kept
        assert place(ada, *lines, **{"Idempotency-Key": "k"}).status_code == 202


# --- The queue ------------------------------------------------------------------------------------


def test_the_place_in_the_queue_counts_what_inventory_has_yet_to_acknowledge_in_its_lane(
    ada: APIClient, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shop.messaging.producer.outbox._lanes", {"orders": 1})
    shop.place(("phone", 1))
    shop.drain()
    positions = [place(ada).json()["queue"]["position"] for _ in range(3)]
    assert positions == [0, 1, 2]


def test_an_order_with_a_recent_rate_in_its_lane_has_an_estimate(
    ada: APIClient, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shop.messaging.producer.outbox._lanes", {"orders": 1})
    shop.place(("phone", 1))
    shop.drain()
    assert 1 <= place(ada).json()["queue"]["eta_seconds"] <= 60


def test_the_count_of_what_is_ahead_ends_at_a_cap(ada: APIClient, shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shop.messaging.producer.outbox._lanes", {"orders": 1})
    monkeypatch.setattr("shop.messaging.producer.queue_position.CAP", 2)
    assert [place(ada).json()["queue"]["position"] for _ in range(4)] == [0, 1, 2, 2]


# --- Reading --------------------------------------------------------------------------------------


def test_a_decided_order_has_no_place_in_the_queue_and_a_history(ada: APIClient, shop: Shop) -> None:
    address = place(ada)["Location"]
    shop.drain()
    order = ada.get(address).json()
    assert (order["status"], order["queue"]) == ("confirmed", None)
    assert order["decided_at"] == order["history"][1]["at"]
    assert [moment["status"] for moment in order["history"]] == ["open", "confirmed"]


def test_an_order_that_is_short_of_stock_says_which_lines_are(ada: APIClient, shop: Shop) -> None:
    address = place(ada, line("phone", 6), line("case", 1))["Location"]
    shop.drain()
    assert ada.get(address).json()["reason"] == {
        "code": "out_of_stock",
        "detail": "There is not enough in stock.",
        "lines": [{"sku": "phone", "requested": 6, "available": 5}],
    }


def test_an_unchanged_order_is_not_sent_twice(ada: APIClient, shop: Shop) -> None:
    address = place(ada)["Location"]
    etag = ada.get(address)["ETag"]
    unchanged = ada.get(address, headers={"If-None-Match": etag})
    assert (unchanged.status_code, unchanged.content, unchanged["ETag"]) == (304, b"", etag)
    shop.drain()
    assert ada.get(address, headers={"If-None-Match": etag}).status_code == 200


def test_someone_elses_order_is_not_found(ada: APIClient, shop: Shop) -> None:
    address = place(ada)["Location"]
    bob = client_of(shop.member("bob"))
    assert is_problem(bob.get(address), 404, "not_found")
    assert is_problem(bob.post(f"{address}cancel/"), 404, "not_found")
    assert is_problem(staff("stock").get(address), 404, "not_found")


def test_staff_for_orders_read_everyones(ada: APIClient) -> None:
    assert staff("orders").get(place(ada)["Location"]).status_code == 200


def test_an_order_that_does_not_exist_is_not_found(ada: APIClient) -> None:
    for order_id in (str(uuid4()), "12", "%00"):
        assert is_problem(ada.get(f"{ORDERS}{order_id}/"), 404, "not_found"), order_id


# --- Cancelling -----------------------------------------------------------------------------------


def test_a_member_cancels_its_own_order(ada: APIClient, shop: Shop) -> None:
    address = place(ada)["Location"]
    response = ada.post(f"{address}cancel/")
    assert response.status_code == 200
    order = response.json()
    assert (order["status"], order["queue"]) == ("cancelled", None)
    assert order["reason"] == {"code": "cancelled_by_member", "detail": "The member cancelled the order."}
    shop.drain()
    assert shop.stock("phone") == (5, 0)


def test_staff_cancel_anyones_order_as_the_shop(ada: APIClient) -> None:
    address = place(ada)["Location"]
    assert staff("orders").post(f"{address}cancel/").json()["reason"]["code"] == "cancelled_by_staff"


def test_an_order_is_not_cancelled_twice(ada: APIClient) -> None:
    address = place(ada)["Location"]
    ada.post(f"{address}cancel/")
    response = ada.post(f"{address}cancel/")
    assert is_problem(response, 409, "unable_to_cancel")
    assert response.json()["status_now"] == "cancelled"


def test_a_cancellation_takes_no_fields(ada: APIClient) -> None:
    address = place(ada)["Location"]
    response = ada.post(f"{address}cancel/", {"reason": "too dear"})
    assert is_problem(response, 400, "invalid")
    assert paths(response) == ["reason"]


def test_an_order_that_timed_out_says_so(ada: APIClient) -> None:
    address = place(ada)["Location"]
    services.expire_open_orders(at=timezone.now() + timedelta(hours=1), limit=timedelta(minutes=15))
    assert ada.get(address).json()["reason"]["code"] == "timed_out"
