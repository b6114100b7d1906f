"""How long a statement may take: web requests short, workers longer, everything else as long as it needs."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as shop_settings
from django.contrib.auth.models import User
from django.db import connections
from django.test import Client

from orders.models import Order
from shop.console.audit.snapshots import Sessions
from tests.contexts.api import client_of, is_problem
from tests.harness import Shop, database_urls

ROOT = Path(__file__).resolve().parent.parent.parent


@contextmanager
def slow(alias: str, table: str) -> Iterator[None]:
    """Every statement on the table takes long: it waits, for what ``lock_timeout`` does not end soon enough."""
    other = connections[alias].copy()
    other.set_autocommit(False)
    with other.cursor() as cursor:
        cursor.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
        yield
    other.rollback()
    other.close()


@pytest.fixture
def hurried(shop: Shop, settings: Any) -> Iterator[None]:
    """Web requests with little time, on connections that they open themselves."""
    settings.WEB_LOCK_TIMEOUT, settings.WEB_STATEMENT_TIMEOUT = 30, 0.2
    connections["orders"].close()
    yield
    connections["orders"].close()


def test_a_request_whose_statement_takes_too_long_is_told_to_try_again_and_did_nothing(
    shop: Shop, hurried: None
) -> None:
    ada = client_of(shop.member())
    shop.sell("phone", stock=3)
    shop.drain()
    connections["orders"].close()
    order = {"lines": [{"sku": "phone", "quantity": 1}]}
    with slow("orders", "orders_orderline"):
        answer = ada.post("/api/orders/", order)
    assert is_problem(answer, 503, "unavailable")
    assert int(answer["Retry-After"]) > 0
    assert not Order.objects.exists()
    assert ada.post("/api/orders/", order).status_code == 202


def test_an_admin_page_whose_statement_takes_too_long_says_so(client: Client, hurried: None) -> None:
    client.force_login(User.objects.create_superuser("boss"))
    with slow("orders", "orders_order"):
        page = client.get("/admin/orders/order/")
    assert page.status_code == 503
    assert int(page["Retry-After"]) > 0
    assert "statement timeout" in page.content.decode()


@pytest.mark.parametrize(("kind", "limit"), [("worker", "1234ms"), ("command", "0")])
def test_a_worker_has_a_longer_limit_and_a_command_has_none(
    transactional_databases: None, kind: str, limit: str
) -> None:
    code = "import django; django.setup(); import celery_app\nfrom django.db import connections\n"
    if kind == "worker":  # what Celery sends first in each
        code += "celery_app.signals.celeryd_init.send('a worker', instance=None, conf=None, options={})\n"
    code += (
        "cursor = connections['orders'].cursor(); cursor.execute('SHOW statement_timeout'); print(*cursor.fetchone())"
    )
    environment = {"DJANGO_SETTINGS_MODULE": "tests.settings", "WORKER_STATEMENT_TIMEOUT": "1.234"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **database_urls(), **environment},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout.strip() == limit, done.stderr


@pytest.mark.parametrize("alias", list(shop_settings.CONTEXTS.values()))
def test_the_audit_takes_the_time_it_needs(transactional_databases: None, alias: str) -> None:
    with Sessions() as sessions, sessions.snapshot(alias) as snapshot:
        assert snapshot.rows("SHOW statement_timeout") == [{"statement_timeout": "0"}]
