"""Real processes on the test databases: web, a worker for each context, beat, kept alive as ``manage.py up`` does."""

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psutil
import psycopg
import pytest
from django.conf import settings
from django.core.management import call_command
from django.db import connections

from celery_app import app
from shop.local.chaos.faults import signal_group
from shop.local.servers.addresses import instance_folder
from shop.local.stack import ports, readiness
from shop.local.stack.running import programs
from shop.local.stack.supervision import Supervisor
from tests.chaos.client import Client
from tests.harness import database_urls

QUICK = {"RELAY_RESEND_AFTER": "1", "RELAY_RESEND_LIMIT": "2", "RELAY_IDLE": "2", "SCAN_INTERVAL": "0.2"}  # seconds


def eventually(condition: Callable[[], object], *, within: float = 30, what: str = "") -> None:
    """Wait until the condition holds, and fail if it does not in time (seconds)."""
    limit = time.monotonic() + within
    while not condition():
        assert time.monotonic() < limit, f"not within {within} s: {what or condition}"
        time.sleep(0.05)


class Stack:
    """The running processes, and ways to hurt them."""

    def __init__(self, supervisor: Supervisor, client: Client) -> None:
        self.supervisor = supervisor
        self.client = client

    def kill_worker(self, context: str) -> None:
        """SIGKILL to a worker and its pool, wherever they are."""
        signal_group(self.supervisor.pids[f"worker-{context}"], signal.SIGKILL)

    def pool_of(self, context: str) -> list[psutil.Process]:
        """The processes in which a worker runs its tasks."""
        return psutil.Process(self.supervisor.pids[f"worker-{context}"]).children()

    @contextmanager
    def database_down(self, alias: str) -> Iterator[None]:
        """Nobody gets in, and those who were in are thrown out, as when its server is away."""
        name = connections[alias].settings_dict["NAME"]
        connections[alias].close()
        with psycopg.connect(self._maintenance_url(alias), autocommit=True) as server:
            server.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
            server.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name])
            try:
                yield
            finally:
                server.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')

    def _maintenance_url(self, alias: str) -> str:
        settings_dict = connections[alias].settings_dict
        return psycopg.conninfo.make_conninfo(
            dbname="postgres",
            **{
                key: settings_dict[setting]
                for key, setting in {"host": "HOST", "port": "PORT", "user": "USER", "password": "PASSWORD"}.items()
                if settings_dict[setting]
            },
        )


@pytest.fixture(scope="module")
def stack(django_db_setup: None, django_db_blocker: pytest.FixtureRequest) -> Iterator[Stack]:
    """Everything runs and answers; the databases are emptied when the module is done."""
    with django_db_blocker.unblock(), pytest.MonkeyPatch.context() as patch:
        for name, value in _environment().items():
            patch.setenv(name, value)
        said: list[str] = []
        with ports.reserve("127.0.0.1", 8100, or_next=True) as reserved:
            port = reserved.getsockname()[1]
            supervisor = Supervisor(instance_folder(settings.INSTANCE), programs("127.0.0.1", port, 1, 1), said.append)
            try:
                readiness.expect_workers(settings.INSTANCE)
                supervisor.start()
                eventually(lambda: _answers(supervisor), within=60, what=f"ready; said: {said}")
                yield Stack(supervisor, Client(f"http://127.0.0.1:{port}"))
            finally:
                supervisor.stop()
                app.control.purge()
                for alias in settings.CONTEXTS.values():
                    call_command("flush", database=alias, interactive=False, verbosity=0)


@pytest.fixture(autouse=True)
def _watched(stack: Stack) -> Iterator[None]:
    """The supervisor's news are read while a test runs, so that pids stay right."""
    yield
    stack.supervisor.watch(0)


def _environment() -> dict[str, str]:
    """The processes use the test databases and the tests' broker."""
    return {
        **database_urls(),
        **QUICK,
        "BROKER_URL": settings.BROKER_URL,
        "SHOP_INSTANCE": settings.INSTANCE,
        "DJANGO_SETTINGS_MODULE": "tests.settings",
    }


def _answers(supervisor: Supervisor) -> bool:
    supervisor.watch(0.1)
    workers = [supervisor.pids.get(f"worker-{context}") for context in settings.CONTEXTS]
    return (
        all(readiness.is_ready(settings.INSTANCE, pid) for pid in workers)
        and len(supervisor.pids) == len(settings.CONTEXTS) + 2
    )
