"""Every write over HTTP takes an Idempotency-Key: repeated, it gets the first answer and has no second effect."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
import yaml
from celery import current_app
from django.apps import apps
from django.db import connections
from django.test import Client
from django.utils import timezone
from rest_framework.test import APIClient

from celery_app import schedule
from inventory.models import StockMovement
from orders.models import Order
from shop.idempotency import IdempotencyKey
from tests.contexts.api import client_of, is_problem, paths, staff
from tests.harness import Shop

KEY = {"Idempotency-Key": "once"}


@dataclass(frozen=True)
class Write:
    """A write, another that is not the same, and how often it took effect."""

    client: APIClient
    method: str
    address: str
    body: Any
    other: Any
    effects: Callable[[], int]

    def send(self, body: Any = None, **headers: str) -> Any:
        sent = self.body if body is None else body
        return getattr(self.client, self.method)(self.address, sent, headers=headers)


def announced(context: str, name: str) -> Callable[[], int]:
    return lambda: apps.get_model(context, "OutboxEvent").objects.filter(type=f"{context}.{name}").count()


@pytest.fixture(params=["receive", "adjust", "add product", "change product", "cancel"])
def write(request: pytest.FixtureRequest, shop: Shop) -> Write:
    """Each write in turn."""
    shop.sell("phone", stock=5)
    shop.drain()
    order = shop.place(("phone", 1), member_id=shop.member().pk)
    stock, catalogue, moved = "/api/inventory/stock/phone/", "/api/catalogue/products/", StockMovement.objects.count
    before = moved()
    product = {"sku": "case", "name": "Case", "price": 5}
    match request.param:
        case "receive":
            body, other = {"quantity": 2}, {"quantity": 3}
            return Write(staff("stock"), "post", f"{stock}receive/", body, other, lambda: moved() - before)
        case "adjust":
            body, other = {"quantity": -2, "note": "broken"}, {"quantity": -2, "note": "lost"}
            return Write(staff("stock"), "post", f"{stock}adjust/", body, other, lambda: moved() - before)
        case "add product":
            effects = announced("catalogue", "product-added")
            first = effects()
            other = product | {"price": 6}
            return Write(staff("catalogue"), "post", catalogue, product, other, lambda: effects() - first)
        case "change product":
            effects, body = announced("catalogue", "product-changed"), {"price": 7}
            first = effects()
            address = f"{catalogue}phone/"
            return Write(staff("catalogue"), "patch", address, body, {"price": 8}, lambda: effects() - first)
        case _:
            address = f"/api/orders/{order.pk}/cancel/"
            return Write(staff("orders"), "post", address, {}, {"why": "?"}, announced("orders", "order-cancelled"))


def test_the_same_key_gets_the_same_answer_and_has_no_second_effect(write: Write) -> None:
    first = write.send(**KEY)
    assert first.status_code in (200, 201), first.content
    again = write.send(**KEY)
    assert (again.status_code, again.content, again.get("Location")) == (
        first.status_code,
        first.content,
        first.get("Location"),
    )
    assert write.effects() == 1


def test_the_same_key_with_another_body_is_refused(write: Write) -> None:
    write.send(**KEY)
    assert is_problem(write.send(write.other, **KEY), 422, "idempotency_key_reused")
    assert write.effects() == 1


def test_what_was_refused_leaves_its_key_free(write: Write) -> None:
    address, nowhere = write.address, write.address.replace("phone", "none")
    refused = getattr(write.client, write.method)(nowhere, {"no": "such field"}, headers=KEY)
    assert refused.status_code in (400, 404), refused.content
    assert write.address == address
    assert write.send(**KEY).status_code in (200, 201)
    assert write.effects() == 1


def test_a_key_that_cannot_be_one_is_refused(write: Write) -> None:
    for key in ("", "x" * 256, "tab\there", "schlüssel"):
        response = write.send(**{"Idempotency-Key": key})
        assert is_problem(response, 400, "invalid"), key
        assert paths(response) == ["Idempotency-Key"], key
    assert write.effects() == 0


def test_two_keys_are_two_requests(shop: Shop) -> None:
    client = staff("stock")
    for key in ("one", "two", "one"):
        client.post("/api/inventory/stock/phone/receive/", {"quantity": 2}, headers={"Idempotency-Key": key})
    assert shop.stock("phone") == (4, 0)


def test_two_users_may_use_the_same_key(shop: Shop) -> None:
    for client in (staff("stock"), staff("stock", "orders")):
        client.post("/api/inventory/stock/phone/receive/", {"quantity": 2}, headers=KEY)
    assert shop.stock("phone") == (4, 0)


def test_one_key_stands_for_one_address(shop: Shop) -> None:
    client = staff("stock")
    client.post("/api/inventory/stock/phone/receive/", {"quantity": 2}, headers=KEY)
    for address in ("phone/adjust/", "case/receive/"):
        response = client.post(f"/api/inventory/stock/{address}", {"quantity": 2}, headers=KEY)
        assert is_problem(response, 422, "idempotency_key_reused"), address


def test_an_order_and_its_cancellation_do_not_share_a_key(shop: Shop) -> None:
    shop.sell("phone", stock=5)
    shop.drain()
    ada, order = client_of(shop.member()), {"lines": [{"sku": "phone", "quantity": 1}]}
    address = ada.post("/api/orders/", order, headers=KEY)["Location"]
    assert is_problem(ada.post(f"{address}cancel/", headers=KEY), 422, "idempotency_key_reused")
    assert ada.post(f"{address}cancel/", headers={"Idempotency-Key": "other"}).status_code == 200
    assert is_problem(
        ada.post("/api/orders/", order, headers={"Idempotency-Key": "other"}), 422, "idempotency_key_reused"
    )


def test_a_body_that_only_looks_different_is_the_same(shop: Shop) -> None:
    client = staff("stock")
    for body in ('{"quantity": 2, "note": "x"}', '{"note":"x","quantity":2}'):
        response = client.post(
            "/api/inventory/stock/phone/receive/", data=body, content_type="application/json", headers=KEY
        )
        assert response.status_code == 200
    assert shop.stock("phone") == (2, 0)


def test_a_key_that_the_older_release_stored_gets_its_order(shop: Shop) -> None:
    shop.sell("phone", stock=5)
    shop.drain()
    member = shop.member()
    order = shop.place(("phone", 2), member_id=member.pk)
    fingerprint = hashlib.sha256(json.dumps([["phone", 2]]).encode()).hexdigest()
    with connections["orders"].cursor() as cursor:
        cursor.execute(
            "INSERT INTO orders_idempotencykey (member_id, key, fingerprint, order_id, created_at) "
            "VALUES (%s, 'once', %s, %s, now())",
            [member.pk, fingerprint, order.pk],
        )
    again = client_of(member).post("/api/orders/", {"lines": [{"sku": "phone", "quantity": 2}]}, headers=KEY)
    assert (again.status_code, again.json()["id"]) == (202, str(order.pk))
    assert Order.objects.count() == 1


def test_a_key_that_places_an_order_is_stored_as_the_older_release_reads_it(shop: Shop) -> None:
    shop.sell("phone", stock=5)
    shop.drain()
    member = shop.member()
    order = shop.place(("phone", 2), member_id=member.pk, key="once")
    with connections["orders"].cursor() as cursor:
        cursor.execute("SELECT member_id, key, fingerprint, order_id FROM orders_idempotencykey")
        fingerprint = hashlib.sha256(json.dumps([["phone", 2]]).encode()).hexdigest()
        assert cursor.fetchall() == [(member.pk, "once", fingerprint, order.pk)]


def test_every_write_of_the_api_takes_a_key(client: Client) -> None:
    schema = yaml.safe_load(client.get("/api/schema/").content)
    writes = {
        f"{method} {path}": [parameter["name"] for parameter in operation.get("parameters", [])]
        for path, operations in schema["paths"].items()
        for method, operation in operations.items()
        if method not in ("get", "head", "options")
    }
    assert len(writes) >= 6
    assert [write for write, parameters in writes.items() if "Idempotency-Key" not in parameters] == []


def test_every_context_forgets_its_keys_in_time(shop: Shop) -> None:
    tables = [model for model in apps.get_models() if issubclass(model, IdempotencyKey)]
    forgets = [entry for entry in schedule().values() if str(entry["task"]).endswith(".forget_idempotency_keys")]
    entries: dict[str, Any] = {entry["options"]["queue"]: entry for entry in forgets}  # type: ignore[index]
    assert (
        {table._meta.app_label for table in tables}
        == entries.keys()
        == {"orders", "inventory", "catalogue", "marketing", "members"}
    )
    for table in tables:
        for days in (1, 29, 31):
            at = timezone.now() - timedelta(days=days)
            table.objects.create(user_id=1, key=f"{days} days old", fingerprint="", created_at=at)
        current_app.tasks[entries[table._meta.app_label]["task"]]()
        assert set(table.objects.values_list("key", flat=True)) == {"1 days old", "29 days old"}
