"""Every page of the admin can be opened, with data and without."""

from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import Group
from django.db import InterfaceError, connections
from django.urls import reverse

from shop.messaging import models as messaging
from shop.messaging.contexts import contexts
from shop.messaging.producer.fence import fence
from tests.contexts.admin.conftest import Browser
from tests.contexts.sample.services import greet
from tests.harness import Shop

REGISTERED = sorted(model._meta.label_lower.replace(".", "_") for model in admin.site._registry)
MACHINERY = {"outboxevent", "subscription", "cursor", "deadletter", "letterretry"}


def page_of(name: str) -> Any:
    return next(
        page for model, page in admin.site._registry.items() if model._meta.label_lower.replace(".", "_") == name
    )


def fill(shop: Shop) -> None:
    """A row at least in every table that has a page."""
    member = shop.member()
    shop.sell("pho_ne", stock=5)
    shop.sell("case")
    shop.drain()
    shop.campaign("case")
    shop.campaign("case", starts_at=2, ends_at=3)
    shop.drain()
    shop.place(("pho_ne", 2), member_id=member.pk)
    shop.place(("case", 1), member_id=member.pk)
    shop.drain()
    shop.place(("pho_ne", 1), member_id=member.pk)
    Group.objects.create(name="clerks")
    greet("Ada")
    shop.scan("sample")
    shop.deliveries.run()
    for app in contexts():
        if app.publishes:
            fence(app.label, reason="a test")
        if "deadletter" in app.models:
            app.table(messaging.DeadLetter).objects.create(
                consumer=app.label, source="orders", lane=0, position=1, type="t", key="k", event={"id": "1"}, error="e"
            )
            app.table(messaging.LetterRetry).objects.create(
                consumer=app.label, source="orders", keys=["k"], requested_by="boss"
            )


def test_each_list_and_each_row_can_be_opened(shop: Shop, boss: Browser) -> None:
    fill(shop)
    for name in REGISTERED:
        listed = boss.listed(name)
        assert listed.status_code == 200, name
        rows = listed.context["cl"].result_list
        assert rows, f"{name}: there is nothing to open"
        for row in rows[:3]:
            assert boss.opened(name, row.pk).status_code == 200, (name, row)
            assert boss.client.get(boss.url(name, "history", row.pk)).status_code == 200, (name, row)


def test_each_list_is_shown_while_it_is_empty(boss: Browser) -> None:
    answers = {name: boss.listed(name) for name in REGISTERED}
    assert {answer.status_code for answer in answers.values()} == {200}
    assert "There are no open dead letters" in answers["orders_deadletter"].content.decode()
    for query in ("?q=x", "?order_id=01a20c78-0bbf-72d6-ba6f-59b410660473"):
        assert "Nothing was found." in boss.listed("inventory_claim", query).content.decode()


def test_what_the_domain_writes_can_neither_be_added_nor_deleted_by_hand(boss: Browser) -> None:
    request = boss.listed("orders_order").wsgi_request
    addable = {name for name in REGISTERED if page_of(name).has_add_permission(request)}
    deletable = {name for name in REGISTERED if page_of(name).has_delete_permission(request)}
    assert addable == {
        "catalogue_product", "marketing_campaign", "members_member", "auth_user", "auth_group", "authtoken_tokenproxy"
    }  # fmt: skip
    assert deletable == {"auth_group", "authtoken_tokenproxy"}
    for name in addable:
        assert boss.client.get(boss.url(name, "add")).status_code == 200


def test_a_row_that_only_the_domain_writes_refuses_a_form(shop: Shop, boss: Browser) -> None:
    fill(shop)
    for name in REGISTERED:
        if name.split("_")[1] in MACHINERY | {"order", "stockitem", "stockmovement", "claim", "orderview", "greeting"}:
            row = page_of(name).model._default_manager.first()
            assert boss.client.post(boss.url(name, "change", row.pk), {}).status_code == 403


def test_the_sidebar_leads_to_pages_that_exist_and_only_to_those_one_may_see(boss: Browser, staff: Any) -> None:
    groups = boss.client.get(reverse("admin:index")).context["sidebar_navigation"]
    titles = [group["title"] for group in groups]
    assert titles == [*(app.verbose_name for app in contexts()), "Machinery"]
    links = [item["link"] for group in groups for item in group["items"]]
    assert {boss.client.get(link).status_code for link in links} == {200}
    assert sorted(links) == sorted(boss.url(name) for name in REGISTERED if name != "orders_membercopy")
    clerk = staff("view_stockitem")
    seen = clerk.client.get(reverse("admin:index")).context["sidebar_navigation"]
    assert [item["title"] for group in seen for item in group["items"]] == ["Stock"]


def test_a_database_that_is_down_costs_the_pages_of_its_context_and_no_others(
    boss: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    orders = connections["orders"]
    orders.close()
    with monkeypatch.context() as patched:
        patched.setitem(orders.settings_dict, "HOST", "/nowhere")
        refused = boss.listed("orders_order")
        assert refused.status_code == 503
        assert "The database <strong>orders</strong> does not answer" in refused.content.decode()
        assert boss.listed("orders_outboxevent").status_code == 503
        assert boss.client.get(reverse("admin:index")).status_code == 200
        assert boss.listed("inventory_claim").status_code == 200
        assert boss.listed("readmodel_orderview").status_code == 200
        orders.close()
    assert boss.listed("orders_order").status_code == 200


def test_a_connection_that_is_lost_midway_is_answered_as_a_database_that_is_down(boss: Browser) -> None:
    def lost(*args: object) -> None:
        raise InterfaceError("connection already closed")

    with connections["orders"].execute_wrapper(lost):
        assert boss.listed("orders_order").status_code == 503
        assert boss.listed("inventory_claim").status_code == 200
