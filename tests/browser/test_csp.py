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
    opened.on("pageerror", lambda error: said.append(f"error: {error.message} {error.stack}"))
    yield opened
    complaints = [line for line in said if line.startswith(("error", "warning")) and "/favicon.ico" not in line]
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
        assert "unsafe-inline" not in answer.headers["content-security-policy"]


def test_a_dialog_opens_and_its_form_does_what_it_says(page: "Page", shop: Shop) -> None:
    shop.sell("phone", stock=3)
    page.goto("/admin/inventory/stockitem/phone/change/")
    page.get_by_role("link", name="Receive").click()
    page.locator("#dialog input[name=quantity]").fill("4")
    page.locator("#dialog button[type=submit]").click()
    eventually(lambda: shop.stock("phone") == (7, 0))
    page.wait_for_load_state("networkidle")


def test_the_admin_s_controls_work(page: "Page", shop: Shop) -> None:
    """They are Alpine's expressions."""
    shop.sell("phone", stock=3)
    page.goto("/admin/catalogue/product/")
    is_dark = lambda: "dark" in (page.locator("html").get_attribute("class") or "")  # noqa: E731
    page.keyboard.press("Control+e")
    before = is_dark()
    page.keyboard.press("Control+e")
    eventually(lambda: is_dark() is not before)

    sidebar = page.locator("#nav-sidebar")
    toggle = page.locator("[x-on\\:click^='sidebarDesktopOpen = !sidebarDesktopOpen']")
    assert sidebar.is_visible()
    toggle.click()
    eventually(lambda: not sidebar.is_visible())
    page.reload()
    assert not sidebar.is_visible(), "it is remembered"
    toggle.click()
    eventually(sidebar.is_visible)

    search = page.locator("#nav-sidebar input[x-ref=searchInput], #nav-sidebar input").first
    search.focus()
    search.fill("ord")
    page.keyboard.press("Escape")
    eventually(lambda: search.input_value() == "")

    page.locator("input.action-select").first.check()
    page.locator("#changelist-actions").wait_for(state="visible")


def test_the_docs_page_shows_the_schema(page: "Page") -> None:
    page.goto("/api/docs/")
    page.locator(".opblock").first.click()
    page.locator(".opblock-body").first.wait_for()


def test_pages_outside_the_admin_open(page: "Page") -> None:
    page.goto("/")
