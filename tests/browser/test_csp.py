"""Under the Content-Security-Policy every page works, and breaks no rule of it."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from tests.harness import Shop, eventually

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, Page


@pytest.fixture
def page(boss: "BrowserContext") -> "Iterator[Page]":
    """A page of which nothing is reported: no violation, no error, no warning."""
    said: list[str] = []
    opened = boss.new_page()
    opened.on("console", lambda message: said.append(f"{message.type}: {message.text} {message.location}"))
    opened.on("pageerror", lambda error: said.append(f"{error.message} {error.stack}"))
    yield opened
    complaints = [line for line in said if "/favicon.ico" not in line]
    assert not complaints, "\n".join(complaints)


ADMIN = (
    "",
    "orders/order/",
    "catalogue/product/",
    "catalogue/product/add/",
    "catalogue/product/phone/change/",
    "inventory/stockitem/",
    "inventory/stockitem/phone/change/",
    "orders/outboxevent/",
    "orders/subscription/",
    "orders/cursor/",
    "orders/deadletter/",
    "auth/user/",
    "auth/user/add/",
    "password_change/",
)


def test_every_kind_of_admin_page_opens(page: "Page", shop: Shop) -> None:
    shop.sell("phone", stock=3)
    shop.drain()
    for path in ADMIN:
        answer = page.goto(f"/admin/{path}")
        assert answer is not None
        assert "unsafe" not in answer.headers["content-security-policy"]


def test_a_dialog_opens_and_its_form_does_what_it_says(page: "Page", shop: Shop) -> None:
    shop.sell("phone", stock=3)
    page.goto("/admin/inventory/stockitem/phone/change/")
    page.get_by_role("link", name="Receive").click()
    page.locator("#dialog input[name=quantity]").fill("4")
    page.locator("#dialog button[type=submit]").click()
    eventually(lambda: shop.stock("phone") == (7, 0))
    page.wait_for_load_state("networkidle")


def test_the_admin_s_controls_work(page: "Page", shop: Shop) -> None:
    shop.sell("phone", stock=3)
    page.goto("/admin/catalogue/product/")
    html, wide = page.locator("html"), page.locator("body")
    page.keyboard.press("Control+e")
    page.keyboard.press("Control+e")
    dark = "dark" in (html.get_attribute("class") or "")
    page.keyboard.press("Control+e")
    eventually(lambda: ("dark" in (html.get_attribute("class") or "")) is not dark)
    assert wide.is_visible()


def test_the_docs_page_shows_the_schema(page: "Page") -> None:
    page.goto("/api/docs/")
    page.locator(".opblock").first.click()
    page.locator(".opblock-body").first.wait_for()


def test_pages_outside_the_admin_open(page: "Page") -> None:
    page.goto("/")
