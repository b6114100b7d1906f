"""The catalogue over HTTP, for its staff."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from django.contrib.auth.models import User
from django.db import connections
from rest_framework.test import APIClient

from shop.catalogue.models import OutboxEvent, Product
from tests.contexts.api import client_of, is_problem, paths, staff
from tests.harness import Shop

PRODUCTS = "/api/catalogue/products/"
PHONE = {
    "name": "Phone",
    "description": "It rings.",
    "category": "phones",
    "attributes": {"colour": ["red", {"hex": "f00"}]},
    "price": 500,
    "listed": True,
    "sku": "phone",
}


@pytest.fixture
def client(shop: Shop) -> APIClient:
    return staff("catalogue")


def test_a_product_is_added_and_found_at_its_address(client: APIClient) -> None:
    response = client.post(PRODUCTS, PHONE)
    assert (response.status_code, response["Location"]) == (201, f"{PRODUCTS}phone/")
    assert response.json() == client.get(response["Location"]).json() == PHONE


def test_a_product_needs_a_sku_a_name_and_a_price_only(client: APIClient) -> None:
    response = client.post(PRODUCTS, {"sku": "x", "name": "X", "price": 0})
    assert response.json() == {
        "sku": "x", "name": "X", "price": 0, "description": "", "category": "", "attributes": {}, "listed": True
    }  # fmt: skip
    assert paths(client.post(PRODUCTS, {})) == ["name", "price", "sku"]


def test_a_product_is_not_added_twice(client: APIClient) -> None:
    client.post(PRODUCTS, PHONE)
    assert is_problem(client.post(PRODUCTS, PHONE), 409, "product_exists")


def test_of_two_that_add_a_product_at_once_one_is_told_that_it_exists(client: APIClient) -> None:
    together = Barrier(2)

    def add(_: int) -> int:
        together.wait()
        try:
            return client_of(User.objects.get()).post(PRODUCTS, PHONE).status_code
        finally:
            connections.close_all()

    with ThreadPoolExecutor(2) as adders:
        assert sorted(adders.map(add, range(2))) == [201, 409]


def test_what_the_body_gets_wrong_is_named(client: APIClient) -> None:
    for fields, path in (
        ({"prize": 1}, "prize"),
        ({"sku": "no such thing"}, "sku"),
        ({"sku": "x" * 65}, "sku"),
        ({"name": ""}, "name"),
        ({"name": "x" * 201}, "name"),
        ({"price": -1}, "price"),
        ({"price": 9.99}, "price"),
        ({"price": 10**10 + 1}, "price"),
        ({"category": "x" * 101}, "category"),
        ({"attributes": ["red"]}, "attributes"),
        ({"listed": "perhaps"}, "listed"),
    ):
        response = client.post(PRODUCTS, PHONE | fields)
        assert is_problem(response, 400, "invalid"), fields
        assert paths(response) == [path], fields
    assert not Product.objects.exists()


def test_only_the_given_fields_are_changed(client: APIClient) -> None:
    client.post(PRODUCTS, PHONE)
    response = client.patch(f"{PRODUCTS}phone/", {"price": 400, "listed": False})
    assert response.json() == PHONE | {"price": 400, "listed": False}
    types = list(OutboxEvent.objects.order_by("position").values_list("type", flat=True))
    assert types == ["catalogue.product-added", "catalogue.product-changed", "catalogue.product-delisted"]


def test_a_products_sku_stays(client: APIClient) -> None:
    client.post(PRODUCTS, PHONE)
    response = client.patch(f"{PRODUCTS}phone/", {"sku": "telephone"})
    assert is_problem(response, 400, "invalid")
    assert paths(response) == ["sku"]


def test_a_product_that_is_not_there_is_not_found(client: APIClient) -> None:
    assert is_problem(client.get(f"{PRODUCTS}none/"), 404, "not_found")
    assert is_problem(client.patch(f"{PRODUCTS}none/", {"price": 1}), 404, "not_found")


def test_what_can_be_no_sku_is_refused_as_an_address(client: APIClient) -> None:
    for sku in ("%00", "-x", "a%0A", "x" * 65):
        assert is_problem(client.get(f"{PRODUCTS}{sku}/"), 400, "invalid"), sku


def test_the_catalogue_is_filtered_and_paged(client: APIClient, shop: Shop) -> None:
    for number in range(5):
        shop.sell(f"p{number}", listed=number != 2)
    page = client.get(PRODUCTS, {"listed": "true", "category": "things", "page_size": 3}).json()
    assert [product["sku"] for product in page["results"]] == ["p0", "p1", "p3"]
    rest = client.get(page["next"]).json()
    assert ([product["sku"] for product in rest["results"]], rest["next"]) == (["p4"], None)
    assert client.get(rest["previous"]).json()["results"] == page["results"]
    assert client.get(PRODUCTS, {"category": "others"}).json()["results"] == []


def test_each_permission_opens_its_own_door(client: APIClient, shop: Shop) -> None:
    client.post(PRODUCTS, PHONE)
    for stranger in (staff("stock", "orders"), client_of(shop.member())):
        for response in (
            stranger.get(PRODUCTS),
            stranger.post(PRODUCTS, PHONE),
            stranger.get(f"{PRODUCTS}phone/"),
            stranger.patch(f"{PRODUCTS}phone/", {"price": 1}),
        ):
            assert is_problem(response, 403, "permission_denied")
    assert Product.objects.get().price == 500
