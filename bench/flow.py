"""The flow: a backlog of open orders, drained through Celery with all contexts on, beside the floor."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg
from django.conf import settings
from django.core.management import call_command
from django.db import connections, transaction
from django.utils import timezone
from rich.console import Console

from bench import floor
from celery_app import app
from inventory.services import receive_stock
from orders.events import Line
from orders.models import Order, Status
from readmodel.models import OrderView
from shop.local.servers import addresses
from shop.members.credit.stream import Accounts, store_with_accounts
from shop.messaging.aggregates import store
from shop.messaging.contexts import publishers
from shop.messaging.producer.fence import present
from shop.messaging.tasks import scan_outbox
from shop.values import MAX_CREDIT

OPTIONS = ("--concurrency", "2", "--loglevel", "WARNING", "--without-gossip", "--without-mingle")
PATIENCE = 60  # seconds without progress before a run is given up
COPIED = ("orders", "inventory", "members", "readmodel")
BUYERS = 500


def measure(console: Console, *, orders: int, lines: int, skus: int, participants: Sequence[str]) -> dict[str, Any]:
    """Orders decided and projected per second, by the floor and by us, from equal backlogs."""
    _prepare(console, orders=orders, lines=lines, skus=skus, participants=participants)
    with console.status("the floor: raw SQL"):
        urls = {name: addresses.database_url(f"floor_{name}", settings.INSTANCE) for name in COPIED}
        floor_s = floor.drain(urls, credit="members" in participants)
    with console.status("ours: workers are starting") as status, _workers():
        status.update("ours: through Celery")
        ours_s = _drain(orders)
    return {
        "participants": list(participants),
        "orders": orders,
        "lines": lines,
        "skus": skus,
        "floor_s": round(floor_s, 2),
        "ours_s": round(ours_s, 2),
        "floor_per_s": round(orders / floor_s),
        "ours_per_s": round(orders / ours_s),
        "ratio": round(floor_s / ours_s, 2),
    }


def _prepare(console: Console, *, orders: int, lines: int, skus: int, participants: Sequence[str]) -> None:
    """Empty databases, a backlog of open orders, and a copy of it all for the floor."""
    with console.status("databases"):
        call_command("migrate", verbosity=0)
        for alias in settings.CONTEXTS.values():
            call_command("flush", database=alias, interactive=False, verbosity=0)
        for publisher in publishers():
            present(publisher.label)  # a shop that runs has its outboxes
    with console.status(f"{orders:,} open orders"):
        for number in range(skus):
            receive_stock(sku=f"sku-{number}", quantity=orders * lines, at=timezone.now())
        _open_accounts()
        for start in range(0, orders, 1_000):
            numbers = range(start, min(start + 1_000, orders))
            with transaction.atomic(using="orders"):
                store(*(_order(number, lines, skus, participants) for number in numbers))
    for alias in settings.CONTEXTS.values():
        with connections[alias].cursor() as cursor:
            cursor.execute("ANALYZE")
    connections.close_all()
    with psycopg.connect(addresses.database_url("postgres", settings.INSTANCE), autocommit=True) as server:
        for name in COPIED:
            server.execute(f"DROP DATABASE IF EXISTS floor_{name}")
            server.execute(f"CREATE DATABASE floor_{name} TEMPLATE {name}")


def _open_accounts() -> None:
    """Credit for everybody who orders, and more than enough."""
    with transaction.atomic(using="default"):
        accounts = Accounts(members=range(BUYERS))
        for member_id in range(BUYERS):
            accounts.open(member_id, limit=MAX_CREDIT, at=timezone.now())
        store_with_accounts(*accounts.changed())


def _order(number: int, lines: int, skus: int, participants: Sequence[str]) -> Order:
    wanted = (
        Line(sku=f"sku-{(number * 7 + line) % skus}", name="Thing", category="things", price=100, quantity=1)
        for line in range(lines)
    )
    return Order.place(
        member_id=number % BUYERS, lines=tuple(wanted), currency="CNY", at=timezone.now(), participants=participants
    )


@contextmanager
def _workers() -> Iterator[None]:
    """A worker for each context, as ``manage.py up`` runs them, ready before the clock starts."""
    environment = os.environ | {
        "PYTHONWARNINGS": "ignore::RuntimeWarning",  # Celery's, of being run by root
        "WORKER_REMOTE_CONTROL": "true",  # they are pinged
    }
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "celery", "-A", "celery_app", "--quiet", "worker", *OPTIONS]
            + ["-Q", f"{context},{context}.relay", "-n", f"{context}@bench"],
            stdout=subprocess.DEVNULL,
            env=environment,
        )
        for context in settings.CONTEXTS
    ]
    try:
        while len(app.control.ping(timeout=1)) < len(processes):
            pass
        yield
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait()


def _drain(orders: int) -> float:
    """Scan as beat does until every order is decided and projected; seconds taken."""
    start = last = time.perf_counter()
    done = -1
    while True:
        for context in publishers():
            scan_outbox.apply_async(kwargs={"context": context.label}, queue=f"{context.label}.relay")
        for _ in range(10):
            time.sleep(settings.SCAN_INTERVAL / 10)  # the pace of looking, and of the scans: beat is not there
            still_open = Order.objects.filter(status=Status.OPEN).exists()
            shown = OrderView.objects.filter(status=Status.CONFIRMED).count()
            if not still_open and shown == orders:
                return time.perf_counter() - start
            if shown > done:
                done, last = shown, time.perf_counter()
            elif time.perf_counter() - last > PATIENCE:
                raise RuntimeError(f"no progress for {PATIENCE} s, at {shown:,} of {orders:,}: see the workers' output")
