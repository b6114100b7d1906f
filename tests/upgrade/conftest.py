"""The databases and the broker as an older release left them, with a backlog; migrated once, and copied for each test.

A module says which release by ``RELEASE``, the name of its folder.
"""

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psycopg
import pytest
from django.conf import settings
from django.core.management import call_command
from django.db import connections
from pytest_django import DjangoDbBlocker

from shop.messaging.producer import quiet
from tests.harness import Deliveries, Delivery, database_urls
from tests.upgrade.left import Left

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def migrated_databases(
    request: pytest.FixtureRequest, django_db_setup: None, django_db_blocker: DjangoDbBlocker
) -> Iterator[dict[str, str]]:
    """By context, the name of the database that the release left, migrated by this one."""
    release = HERE / request.module.RELEASE
    names = {label: f"upgraded_{label}" for label in settings.CONTEXTS}
    with django_db_blocker.unblock(), ExitStack() as undo:
        with ExitStack() as leading:
            for label, name in names.items():
                undo.enter_context(_database(label, name, dump=release / f"{label}.sql"))
                leading.enter_context(_leading_to(label, name))
            call_command("migrate", verbosity=0)
        yield names


@pytest.fixture
def left(
    request: pytest.FixtureRequest,
    migrated_databases: dict[str, str],
    django_db_blocker: DjangoDbBlocker,
    deliveries: Deliveries,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Left]:
    """What the release left, after ``migrate``; every context's connection leads there."""
    monkeypatch.setattr(quiet, "_quiet", {})  # what this process knows of its usual databases
    said = json.loads((HERE / request.module.RELEASE / "left.json").read_text())
    deliveries.waiting += [Delivery(**message) for message in said["broker"]]
    with django_db_blocker.unblock(), ExitStack() as undo:
        for label, template in migrated_databases.items():
            undo.enter_context(_database(label, f"{template}_copy", template=template))
            undo.enter_context(_leading_to(label, f"{template}_copy"))
        yield Left(deliveries, orders=said["orders"], members=said["members"])


@contextmanager
def _database(label: str, name: str, *, template: str = "template0", dump: Path | None = None) -> Iterator[None]:
    """A database on a context's server, dropped in the end; with a dump that does not exist, none is made."""
    drop = f"DROP DATABASE IF EXISTS {name} WITH (FORCE)"
    with psycopg.connect(_url(label, "postgres"), autocommit=True) as server:
        server.execute(drop)
        if dump is None or dump.exists():
            server.execute(f"CREATE DATABASE {name} ENCODING 'UTF8' TEMPLATE {template}")
        if dump is not None and dump.exists():
            with psycopg.connect(_url(label, name)) as database:
                database.execute(dump.read_text())
        try:
            yield
        finally:
            server.execute(drop)


@contextmanager
def _leading_to(label: str, name: str) -> Iterator[None]:
    """Have a context's connection lead to another database."""
    connection = connections[settings.CONTEXTS[label]]
    usual = connection.settings_dict["NAME"]
    connection.close()
    connection.settings_dict["NAME"] = name
    try:
        yield
    finally:
        connection.close()
        connection.settings_dict["NAME"] = usual


def _url(label: str, database: str) -> str:
    server = database_urls()[f"{label.upper()}_DATABASE_URL"].rpartition("/")[0]
    return f"{server}/{database}"
