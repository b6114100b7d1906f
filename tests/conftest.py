"""Fixtures: real servers for the whole run, and a shop whose deliveries the test holds in its hands."""

import pytest
from django.conf import settings

from shop.local import servers
from tests.harness import Deliveries, Shop

ALL_DATABASES = list(settings.CONTEXTS.values())


def pytest_sessionstart(session: pytest.Session) -> None:
    needed = servers.needed_by(settings.DATABASES.values(), settings.BROKER_URL, settings.INSTANCE)
    session.config.stash[STARTED] = servers.ensure_running(settings.INSTANCE, needed)


def pytest_sessionfinish(session: pytest.Session) -> None:
    servers.stop(settings.INSTANCE, session.config.stash[STARTED])


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
def transactional_databases(request: pytest.FixtureRequest) -> None:
    """Every database, with real commits; emptied afterwards."""
    request.node.add_marker(pytest.mark.django_db(transaction=True, databases=ALL_DATABASES))
    request.getfixturevalue("transactional_db")
