"""Every answer has a strict Content-Security-Policy, and no page has what it forbids. Browsers: tests/browser."""

import re

import pytest
from django.contrib.auth.models import User
from django.template import engines
from django.template.loader import get_template
from django.test import Client

from shop.admin.templates import CHANGES
from tests.harness import Shop

PAGES = (
    "/admin/",
    "/admin/orders/order/",
    "/admin/catalogue/product/",
    "/admin/catalogue/product/phone/change/",
    "/admin/inventory/stockitem/phone/receive/",
    "/admin/auth/user/",
    "/admin/auth/user/add/",
    "/api/docs/",
    "/api/docs/?script",
    "/api/orders/nothing/",
    "/api/catalogue/products/",
    "/nothing/",
)

INLINE_SCRIPT = re.compile(r"<script(?![^>]*\ssrc=)(?![^>]*application/json)", re.IGNORECASE)
INLINE_STYLE = re.compile(r"<style(?![^>]*\snonce=)|<[^>]*\sstyle=", re.IGNORECASE)
HANDLER = re.compile(r"<[^>]*\son[a-z]+=|javascript:", re.IGNORECASE)


@pytest.mark.parametrize("address", ["/admin/login/", *PAGES])
def test_no_page_runs_anything_that_stands_in_it(shop: Shop, client: Client, address: str) -> None:
    if address in PAGES:
        client.force_login(User.objects.create_superuser("boss"))
        shop.sell("phone", stock=3)
    answer = client.get(address)
    policy = dict(directive.split(" ", 1) for directive in answer["Content-Security-Policy"].split("; "))
    scripts = "'self' 'unsafe-eval'" if address.startswith("/admin/") else "'self'"
    assert policy["default-src"] == policy["base-uri"] == policy["frame-ancestors"] == "'none'"
    assert (policy["script-src"], "unsafe-inline" in answer["Content-Security-Policy"]) == (scripts, False)
    if answer["Content-Type"].startswith("text/html"):
        text = answer.content.decode()
        for forbidden in (INLINE_SCRIPT, INLINE_STYLE, HANDLER):
            assert not forbidden.findall(text)


def test_a_nonce_is_good_for_one_answer(shop: Shop, client: Client) -> None:
    policies = {client.get("/admin/login/")["Content-Security-Policy"] for _ in range(3)}
    assert len(policies) == 3


@pytest.mark.parametrize("template", CHANGES)
def test_what_is_changed_in_a_package_s_template_is_in_it(template: str) -> None:
    get_template(template)


def test_a_template_that_says_it_differently_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(CHANGES, "admin/index.html", {"what is not there": ""})
    for loader in engines["django"].engine.template_loaders:
        loader.reset()
    with pytest.raises(ValueError, match=r"index\.html is to have one 'what is not there', and has 0"):
        get_template("admin/index.html")
