"""Every answer has a strict Content-Security-Policy, and no page has what it forbids. Browsers: tests/browser."""

import re
from pathlib import Path

import drf_spectacular
import pytest
import unfold
from django.contrib.auth.models import User
from django.test import Client

from tests.harness import Shop

OURS = Path(__file__).resolve().parent.parent.parent / "shop" / "console" / "templates"
THEIRS = {
    "unfold/layouts/skeleton.html": (unfold, 11),
    "unfold/helpers/dialog.html": (unfold, 1),
    "drf_spectacular/swagger_ui.html": (drf_spectacular, 1),
}
"""Templates of packages that we changed, and how many of their lines."""

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
    assert "unsafe" not in answer["Content-Security-Policy"]
    assert policy["default-src"] == policy["base-uri"] == policy["frame-ancestors"] == "'none'"
    assert policy["script-src"] == "'self'"
    if answer["Content-Type"].startswith("text/html"):
        text = answer.content.decode()
        for forbidden in (INLINE_SCRIPT, INLINE_STYLE, HANDLER):
            assert not forbidden.findall(text)


def test_a_nonce_is_good_for_one_answer(shop: Shop, client: Client) -> None:
    policies = {client.get("/admin/login/")["Content-Security-Policy"] for _ in range(3)}
    assert len(policies) == 3


@pytest.mark.parametrize("template", THEIRS)
def test_a_package_s_template_differs_from_ours_only_where_we_changed_it(template: str) -> None:
    """A new release of the package has to be looked at."""
    package, changed = THEIRS[template]
    theirs = Path(package.__path__[0], "templates", template).read_text().splitlines()
    ours = (OURS / template).read_text().splitlines()
    assert len([line for line in theirs if line not in ours]) == changed
