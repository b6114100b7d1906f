"""Campaigns over HTTP, for marketing's staff."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from shop.catalogue.services import change_product
from shop.marketing.models import Campaign
from tests.contexts.api import client_of, is_problem, paths, staff
from tests.harness import Shop

CAMPAIGNS = "/api/marketing/campaigns/"


def body(*, start: float = -1, end: float = 1, **fields: Any) -> dict[str, Any]:
    now = timezone.now()
    return {
        "sku": "phone",
        "price": 50,
        "starts_at": (now + timedelta(hours=start)).isoformat(),
        "ends_at": (now + timedelta(hours=end)).isoformat(),
        "limit_per_member": 2,
        "allotment": 100,
        **fields,
    }


@pytest.fixture
def client(shop: Shop) -> APIClient:
    shop.sell("phone")
    shop.drain()
    return staff("marketing")


def test_a_campaign_is_scheduled_and_found_at_its_address(client: APIClient) -> None:
    sent = body()
    response = client.post(CAMPAIGNS, sent)
    assert response.status_code == 201
    shown = response.json()
    assert response["Location"] == f"{CAMPAIGNS}{shown['id']}/"
    assert client.get(response["Location"]).json() == shown
    assert {name: shown[name] for name in ("sku", "price", "limit_per_member", "allotment", "state", "ended_at")} == {
        "sku": "phone", "price": 50, "limit_per_member": 2, "allotment": 100, "state": "running", "ended_at": None
    }  # fmt: skip
    assert shown["starts_at"].endswith("Z")


def test_what_the_body_gets_wrong_is_named(client: APIClient) -> None:
    assert paths(client.post(CAMPAIGNS, {})) == [
        "price", "starts_at", "ends_at", "limit_per_member", "allotment", "sku"
    ]  # fmt: skip
    for fields, path in (
        ({"prize": 1}, "prize"),
        ({"sku": "no such thing"}, "sku"),
        ({"price": 0}, "price"),
        ({"price": 9.5}, "price"),
        ({"starts_at": "tomorrow"}, "starts_at"),
        ({"starts_at": "2026-05-01T08:30:00"}, "starts_at"),
        ({"starts_at": 1}, "starts_at"),
        ({"ends_at": "0001-01-01T00:00:00+14:00"}, "ends_at"),
        ({"limit_per_member": 0}, "limit_per_member"),
        ({"allotment": True}, "allotment"),
        ({"state": "ended"}, "state"),
    ):
        response = client.post(CAMPAIGNS, body(**fields))
        assert is_problem(response, 400, "invalid"), fields
        assert paths(response) == [path], fields
    assert not Campaign.objects.exists()


def test_what_cannot_be_scheduled_says_why_and_what_to_do(client: APIClient) -> None:
    assert is_problem(client.post(CAMPAIGNS, body(sku="lamp")), 422, "unknown_product")
    unfit = client.post(CAMPAIGNS, body(start=2, end=1))
    assert is_problem(unfit, 422, "unfit_campaign")
    assert paths(unfit) == ["ends_at"]
    first = client.post(CAMPAIGNS, body()).json()
    overlapping = client.post(CAMPAIGNS, body())
    assert is_problem(overlapping, 409, "windows_overlap")
    assert overlapping.json()["campaign"] == first["id"]


def test_a_campaign_is_changed_until_it_starts_and_then_its_end_alone(client: APIClient) -> None:
    planned = client.post(CAMPAIGNS, body(start=1, end=2)).json()
    address = f"{CAMPAIGNS}{planned['id']}/"
    assert client.patch(address, {"price": 40}).json() == planned | {"price": 40}
    started = client.patch(address, {"starts_at": timezone.now().isoformat()})
    assert started.json()["state"] == "running"
    refused = client.patch(address, {"price": 30, "allotment": 1})
    assert is_problem(refused, 409, "campaign_started")
    assert refused.json()["fields"] == ["price", "allotment"]
    assert client.patch(address, {"ends_at": body(end=5)["ends_at"]}).status_code == 200
    assert paths(client.patch(address, {"sku": "case"})) == ["sku"]


def test_a_campaign_is_ended_early_once_and_by_that_alone(client: APIClient) -> None:
    address = f"{CAMPAIGNS}{client.post(CAMPAIGNS, body()).json()['id']}/"
    assert paths(client.patch(address, {"state": "running"})) == ["state"]
    assert is_problem(client.patch(address, {"state": "ended", "price": 1}), 400, "invalid")
    ended = client.patch(address, {"state": "ended"}).json()
    assert (ended["state"], ended["ended_at"] is None) == ("ended", False)
    assert is_problem(client.patch(address, {"state": "ended"}), 409, "campaign_over")
    assert client.post(CAMPAIGNS, body()).status_code == 201


def test_campaigns_are_filtered_by_product_and_by_what_they_are_now(client: APIClient, shop: Shop) -> None:
    shop.sell("case")
    shop.drain()
    running, planned = shop.campaign("phone"), shop.campaign("phone", starts_at=1, ends_at=2)
    suspended = shop.campaign("case")
    change_product(sku="case", listed=False)
    shop.drain()

    def listed(**query: str) -> list[str]:
        return [each["id"] for each in client.get(CAMPAIGNS, query).json()["results"]]

    assert listed() == [str(each.pk) for each in (suspended, planned, running)]
    assert listed(sku="phone") == [str(planned.pk), str(running.pk)]
    for state, campaign in (("running", running), ("scheduled", planned), ("suspended", suspended)):
        assert listed(state=state) == [str(campaign.pk)]
    assert listed(state="ended") == []
    assert is_problem(client.get(CAMPAIGNS, {"state": "paused"}), 400, "invalid")


def test_each_permission_opens_its_own_door(client: APIClient, shop: Shop) -> None:
    address = f"{CAMPAIGNS}{client.post(CAMPAIGNS, body()).json()['id']}/"
    for stranger in (staff("catalogue", "stock", "orders"), client_of(shop.member())):
        for response in (
            stranger.get(CAMPAIGNS),
            stranger.post(CAMPAIGNS, body()),
            stranger.get(address),
            stranger.patch(address, {"state": "ended"}),
        ):
            assert is_problem(response, 403, "permission_denied")
    support = staff("support")
    assert support.get(address).status_code == 200
    assert is_problem(support.patch(address, {"state": "ended"}), 403, "permission_denied")
    assert is_problem(client_of().get(CAMPAIGNS), 401, "not_authenticated")


def test_a_campaign_that_is_not_there_is_not_found(client: APIClient) -> None:
    address = f"{CAMPAIGNS}01a20c78-0bbf-72d6-ba6f-59b410660473/"
    assert is_problem(client.get(address), 404, "not_found")
    assert is_problem(client.patch(address, {"price": 1}), 404, "not_found")
    assert is_problem(client.patch(address, {"state": "ended"}), 404, "not_found")
