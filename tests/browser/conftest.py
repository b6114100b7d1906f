"""A real browser, Debian's or your own Chromium, at a real web server."""

import shutil
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
from django.contrib.auth.models import User
from django.db import connections
from django.test import Client
from pytest_django import DjangoDbBlocker

from shop.wsgi import application
from tests.edge.conftest import serving
from tests.harness import Shop

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext

FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]


@pytest.fixture(scope="module")
def chromium(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> "Iterator[Browser]":
    """The browser. Without it, or without Playwright, its tests are skipped: neither is part of the shop.

    Playwright runs an event loop in this thread, and what Django opens meanwhile is apart: it is closed with it.
    """
    sync_playwright = pytest.importorskip("playwright.sync_api").sync_playwright
    path = shutil.which("chromium") or shutil.which("google-chrome")
    if path is None:
        pytest.skip("chromium is not installed")
    with pytest.MonkeyPatch.context() as environment, sync_playwright() as playwright:
        environment.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()
        with django_db_blocker.unblock():
            connections.close_all()


@pytest.fixture
def address(shop: Shop) -> Iterator[str]:
    with serving(application) as port:
        yield f"http://127.0.0.1:{port}"


@pytest.fixture
def boss(address: str, chromium: Any) -> "Iterator[BrowserContext]":
    """Somebody who may do everything, signed in."""
    client = Client()
    client.force_login(User.objects.create_superuser("boss"))
    context = chromium.new_context(base_url=address)
    context.add_cookies([{"name": "sessionid", "value": client.cookies["sessionid"].value, "url": address}])
    yield context
    context.close()
