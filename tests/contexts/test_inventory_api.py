"""The stock and its ledger over HTTP, for its staff."""

import pytest
from rest_framework.test import APIClient

from inventory.models import StockItem
from tests.contexts.api import client_of, is_problem, paths, staff
from tests.harness import Shop

STOCK = "/api/inventory/stock/"


@pytest.fixture
def client(shop: Shop) -> APIClient:
    return staff("stock")


def test_what_is_received_is_available(client: APIClient) -> None:
    response = client.post(f"{STOCK}phone/receive/", {"quantity": 5, "note": "first delivery"})
    assert response.status_code == 200
    assert response.json() == client.get(f"{STOCK}phone/").json() == {"sku": "phone", "available": 5, "reserved": 0}


def test_a_count_may_find_more_or_less(client: APIClient) -> None:
    client.post(f"{STOCK}phone/receive/", {"quantity": 5})
    assert client.post(f"{STOCK}phone/adjust/", {"quantity": -2, "note": "broken"}).json()["available"] == 3
    assert client.post(f"{STOCK}phone/adjust/", {"quantity": 1, "note": "found"}).json()["available"] == 4


def test_no_more_can_be_taken_than_is_available(client: APIClient) -> None:
    client.post(f"{STOCK}phone/receive/", {"quantity": 5})
    response = client.post(f"{STOCK}phone/adjust/", {"quantity": -6, "note": "broken"})
    assert is_problem(response, 409, "unable_to_take")
    assert response.json()["available"] == 5


def test_the_ledger_is_shown_newest_first_with_its_causes(client: APIClient, shop: Shop) -> None:
    shop.sell("phone", stock=3)
    shop.drain()
    order = shop.place(("phone", 2))
    shop.drain()
    client.post(f"{STOCK}phone/adjust/", {"quantity": -1, "note": "broken"})
    page = client.get(f"{STOCK}phone/movements/").json()
    assert page.keys() == {"next", "previous", "results"}
    assert all(movement.pop("at") for movement in page["results"])
    assert page["results"] == [
        {"kind": "adjusted", "quantity": -1, "order_id": None, "note": "broken"},
        {"kind": "reserved", "quantity": 2, "order_id": str(order.pk), "note": ""},
        {"kind": "received", "quantity": 3, "order_id": None, "note": ""},
    ]
    only = client.get(f"{STOCK}phone/movements/", {"kind": "reserved"}).json()["results"]
    assert [movement["kind"] for movement in only] == ["reserved"]


def test_the_ledger_is_read_page_by_page(client: APIClient) -> None:
    for quantity in range(1, 6):
        client.post(f"{STOCK}phone/receive/", {"quantity": quantity})
    address, seen = f"{STOCK}phone/movements/?page_size=2", []
    while address:
        page = client.get(address).json()
        seen.append([movement["quantity"] for movement in page["results"]])
        address = page["next"]
    assert seen == [[5, 4], [3, 2], [1]]


def test_the_stock_is_listed_by_sku(client: APIClient) -> None:
    for sku in ("phone", "case"):
        client.post(f"{STOCK}{sku}/receive/", {"quantity": 1})
    assert [item["sku"] for item in client.get(STOCK).json()["results"]] == ["case", "phone"]


def test_an_item_that_is_not_there_is_not_found(client: APIClient) -> None:
    assert is_problem(client.get(f"{STOCK}none/"), 404, "not_found")
    assert is_problem(client.get(f"{STOCK}none/movements/"), 404, "not_found")
    assert is_problem(client.post(f"{STOCK}none/adjust/", {"quantity": 1, "note": "?"}), 404, "not_found")


def test_what_the_request_gets_wrong_is_named(client: APIClient) -> None:
    client.post(f"{STOCK}phone/receive/", {"quantity": 5})
    for address, body, path in (
        ("phone/receive/", {}, "quantity"),
        ("phone/receive/", {"quantity": 0}, "quantity"),
        ("phone/receive/", {"quantity": -1}, "quantity"),
        ("phone/receive/", {"quantity": 1.5}, "quantity"),
        ("phone/receive/", {"quantity": 10**10}, "quantity"),
        ("phone/receive/", {"quantity": 1, "note": "x" * 201}, "note"),
        ("phone/receive/", {"quantity": 1, "why": "?"}, "why"),
        ("phone/adjust/", {"quantity": 0, "note": "?"}, "quantity"),
        ("phone/adjust/", {"quantity": 1}, "note"),
        ("phone/adjust/", {"quantity": 1, "note": " "}, "note"),
        ("-/receive/", {"quantity": 1}, "sku"),
        ("a%0A/receive/", {"quantity": 1}, "sku"),
        ("%00/receive/", {"quantity": 1}, "sku"),
    ):
        response = client.post(f"{STOCK}{address}", body)
        assert is_problem(response, 400, "invalid"), (address, body)
        assert paths(response) == [path], (address, body)
    assert is_problem(client.get(f"{STOCK}phone/movements/?kind=lost"), 400, "invalid")
    assert list(StockItem.objects.values_list("sku", "available")) == [("phone", 5)]


def test_each_permission_opens_its_own_door(client: APIClient, shop: Shop) -> None:
    client.post(f"{STOCK}phone/receive/", {"quantity": 5})
    for stranger in (staff("catalogue", "orders"), client_of(shop.member())):
        for response in (
            stranger.get(STOCK),
            stranger.get(f"{STOCK}phone/"),
            stranger.get(f"{STOCK}phone/movements/"),
            stranger.post(f"{STOCK}phone/receive/", {"quantity": 1}),
            stranger.post(f"{STOCK}phone/adjust/", {"quantity": 1, "note": "?"}),
        ):
            assert is_problem(response, 403, "permission_denied")
    assert shop.stock("phone") == (5, 0)
