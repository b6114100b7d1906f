"""How often the API may be asked: by a member, from an address, with wrong tokens."""

from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

import pytest
import yaml
from django.conf import settings
from django.core.cache import caches
from django.test import Client, override_settings
from django.urls import URLPattern, get_resolver
from rest_framework.test import APIClient

from orders.models import Order
from shop.api.throttling import kind_of
from shop.throttling import Rate
from tests.contexts.api import client_of, is_problem
from tests.harness import Shop

ORDER = {"lines": [{"sku": "phone", "quantity": 1}]}

_addresses = count(1)


@pytest.fixture
def few(shop: Shop) -> Iterator[Shop]:
    """A shop in which a member orders twice and looks at three lists, and an address thrice and five times."""
    shop.sell("phone", stock=9)
    with override_settings(
        ORDERS_PER_MEMBER=Rate(2, 60),
        ORDERS_PER_ADDRESS=Rate(3, 60),
        SEARCHES_PER_MEMBER=Rate(3, 60),
        SEARCHES_PER_ADDRESS=Rate(5, 60),
        WRONG_TOKENS_PER_ADDRESS=Rate(3, 60),
    ):
        yield shop


def member(shop: Shop, name: str, address: str | None = None) -> APIClient:
    """A member at an address that no other test comes from, unless one is given."""
    client = client_of(shop.member(name))
    shop.drain()
    client.defaults["REMOTE_ADDR"] = address or f"192.0.2.{next(_addresses)}"
    return client


def order(client: APIClient) -> Any:
    return client.post("/api/orders/", ORDER)


def statuses(times: int, ask: Callable[[], Any]) -> list[int]:
    return [ask().status_code for _ in range(times)]


def test_a_member_who_orders_too_often_is_told_to_wait_and_others_are_not(few: Shop) -> None:
    ada, bob = member(few, "ada"), member(few, "bob")
    assert statuses(2, lambda: order(ada)) == [202, 202]
    refused = order(ada)
    assert is_problem(refused, 429, "throttled")
    assert 0 < int(refused["Retry-After"]) <= 60
    assert refused["Retry-After"] in refused.json()["detail"]
    assert order(bob).status_code == 202
    assert Order.objects.count() == 3


def test_a_member_is_limited_from_wherever_it_orders(few: Shop) -> None:
    ada = member(few, "ada")
    statuses(2, lambda: order(ada))
    ada.defaults["REMOTE_ADDR"] = "203.0.113.7"
    assert order(ada).status_code == 429


def test_members_at_one_address_have_a_limit_together(few: Shop) -> None:
    ada, bob, eve = (member(few, name, "203.0.113.8") for name in ("ada", "bob", "eve"))
    assert [order(client).status_code for client in (ada, bob, eve, ada)] == [202, 202, 202, 429]


def test_lists_are_limited_apart_from_orders(few: Shop) -> None:
    ada = member(few, "ada")
    statuses(3, lambda: order(ada))
    assert statuses(4, lambda: ada.get("/api/orders/")) == [200, 200, 200, 429]
    assert ada.get("/api/members/me/").status_code == 200


def test_every_list_is_limited(few: Shop) -> None:
    lists = []
    for pattern in get_resolver().url_patterns:
        view = getattr(getattr(pattern, "callback", None), "cls", None)
        if isinstance(pattern, URLPattern) and getattr(view, "pagination_class", None) and hasattr(view, "list"):
            request: Any = type("Request", (), {"method": "GET"})
            lists.append(kind_of(request, view()))
    assert len(lists) >= 4
    assert set(lists) == {"searches"}


def test_a_script_with_wrong_tokens_is_stopped_and_a_right_one_from_there_still_opens(
    few: Shop, logged: Callable[[str], list[Any]]
) -> None:
    ada = member(few, "ada")
    address = ada.defaults["REMOTE_ADDR"]
    script = APIClient(headers={"Authorization": "Token nonsense"}, REMOTE_ADDR=address)
    assert statuses(5, lambda: script.get("/api/members/me/")) == [401, 401, 401, 429, 429]
    assert ada.get("/api/members/me/").status_code == 200
    assert [line["address"] for line in logged("token refused")] == [address] * 3


def test_an_order_costs_one_round_trip_to_the_cache(few: Shop) -> None:
    if not settings.CACHE_URL:
        pytest.skip("the broker is no Redis")
    shared: Any = caches["default"]
    server = shared.client.get_client(write=True)
    ada = member(few, "ada")

    def reads() -> int:
        return int(server.info("stats")["total_reads_processed"])

    order(ada)  # connects
    before = reads()
    assert reads() == before + 1
    order(ada)
    assert reads() == before + 3


def test_orders_are_accepted_and_limited_while_the_cache_is_away(
    few: Shop, silence: str, cache_at: Callable[[str], None]
) -> None:
    cache_at(silence)
    ada = member(few, "ada")
    assert statuses(3, lambda: order(ada)) == [202, 202, 429]


def test_a_limit_can_be_turned_off(few: Shop) -> None:
    with override_settings(ORDERS_PER_MEMBER=None, ORDERS_PER_ADDRESS=None):
        ada = member(few, "ada")
        assert statuses(5, lambda: order(ada)) == [202] * 5


def test_by_default_a_member_may_press_the_button_often_and_a_script_is_stopped(shop: Shop) -> None:
    shop.sell("phone", stock=999)
    ada = member(shop, "ada")
    answers = statuses(310, lambda: order(ada))
    assert set(answers[:200]) == {202}
    assert answers[-1] == 429


def test_the_schema_says_when_there_were_too_many(client: Client) -> None:
    schema = yaml.safe_load(client.get("/api/schema/").content)
    for path in schema["paths"].values():
        for operation in path.values():
            assert "Retry-After" in operation["responses"]["429"]["headers"]
