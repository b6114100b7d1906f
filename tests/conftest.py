"""Fixtures: real servers for the whole run, and a shop whose deliveries the test holds in its hands."""

from collections.abc import Iterator
from functools import cache

import pytest
from django.conf import settings
from django.db import connections, transaction
from django.test.utils import setup_databases, teardown_databases
from pytest_django import DjangoDbBlocker

from shop.local.servers import lifecycle
from tests.harness import Deliveries, Shop
from tests.introduced import introduce

ALL_DATABASES = list(settings.CONTEXTS.values())


def pytest_sessionstart(session: pytest.Session) -> None:
    if getattr(session.config.option, "numprocesses", None):  # the workers run the tests, on servers of their own
        session.config.stash[STARTED] = []
        return
    needed = lifecycle.needed_by(settings.DATABASES.values(), settings.BROKER_URL, settings.INSTANCE)
    session.config.stash[STARTED] = lifecycle.ensure_running(settings.INSTANCE, needed)


def pytest_sessionfinish(session: pytest.Session) -> None:
    lifecycle.stop(settings.INSTANCE, session.config.stash[STARTED])


# The longest first: workers that share the tests by file would wait for one that begins late.
HEAVY = [
    "tests/journeys/test_sale_demo.py",
    "tests/journeys/test_state_machine.py",
    "tests/messaging/test_broker.py",
    "tests/chaos/test_faults.py",
    "tests/model/test_model.py",
    "tests/model/test_rules.py",
    "tests/journeys/test_audit.py",
    "tests/messaging/test_crashes.py",
    "tests/upgrade/test_upgrade.py",
    "tests/contexts/test_schema.py",
]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    order = {file: number for number, file in enumerate(HEAVY)}
    items.sort(key=lambda item: order.get(item.nodeid.partition("::")[0], len(HEAVY)))


STARTED = pytest.StashKey[list[str]]()


@pytest.fixture
def deliveries(monkeypatch: pytest.MonkeyPatch) -> Deliveries:
    """The broker, in the test's hands: nothing is delivered until the test says so."""
    held = Deliveries()
    held.take_over(monkeypatch)
    return held


@pytest.fixture
def shop(transactional_databases: None, deliveries: Deliveries) -> Shop:
    """A shop on real databases, all of them empty, with ``drain()`` to run relay and consumers until it is quiet."""
    return Shop(deliveries)


@pytest.fixture
def running_shop(shop: Shop) -> Shop:
    """A shop whose consumers have heard of every outbox already, which takes most of a first ``drain()``."""
    introduce(shop)
    return shop


@pytest.fixture(scope="session")
def django_db_setup(django_test_environment: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """Every context's database, whatever the first test asks for: pytest-django would create only those."""
    with django_db_blocker.unblock():
        created = setup_databases(verbosity=0, interactive=False)
    yield
    with django_db_blocker.unblock():
        teardown_databases(created, verbosity=0)


@pytest.fixture
def transactional_databases(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """Every database, with real commits; emptied afterwards.

    As pytest-django's ``transactional_db``, in a tenth of its time: that truncates every partition of every
    outbox, and makes all permissions anew.
    """
    with django_db_blocker.unblock():
        yield
        for alias in ALL_DATABASES:
            _empty(alias)


def _empty(alias: str) -> None:
    """Delete all rows, in one transaction: foreign keys are checked at its end, so that no order is needed."""
    with transaction.atomic(using=alias), connections[alias].cursor() as cursor:
        cursor.execute(";".join(f"DELETE FROM {table}" for table in _tables_of(alias)))


@cache
def _tables_of(alias: str) -> list[str]:
    tables = connections[alias].introspection.django_table_names(only_existing=True, include_views=False)
    kept = {"django_migrations", "django_content_type", "auth_permission"}
    # An outbox knows its lanes for good, and every process remembers them.
    return [table for table in tables if table not in kept and not table.endswith("_outbox")]
