"""What a deployment shares with others on one broker: nothing; and how long a broker that hangs holds it up."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
from celery import current_app
from django.conf import settings
from django.db import connections

from shop.local.servers import addresses, lifecycle
from shop.local.servers.valkey import Valkey
from shop.messaging import broker
from tests.harness import database_urls, eventually

HANGING = f"{settings.INSTANCE}-hanging"

LIMIT = 20  # seconds on a busy machine, for what takes 6; without a time-out it never ends

ROOT = Path(__file__).resolve().parent.parent.parent


def run(code: str, **environment: str) -> str:
    """What a process of its own, of a deployment with these settings, prints."""
    setup = "import django; django.setup(); import time\nfrom celery import current_app\n"
    setup += "from shop.messaging import broker\n"
    done = subprocess.run(
        [sys.executable, "-c", setup + code],
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "tests.settings", **environment},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


# --- Two deployments on one broker ----------------------------------------------------------------


def waiting(name: str) -> int:
    """Messages in a queue, by its name on the broker."""
    with current_app.connection_for_write() as connection:
        try:
            return int(connection.default_channel.queue_declare(name, passive=True).message_count)
        except connection.channel_errors:  # with Redis, an empty queue does not exist
            return 0


@pytest.fixture(autouse=True)
def _emptied() -> Iterator[None]:
    yield
    with current_app.connection_for_write() as connection:
        for name in ("one-members.relay", "two-members.relay"):
            if waiting(name):
                connection.default_channel.queue_purge(name)


SEND = "for _ in range(3): broker.send('shop.messaging.tasks.create_partitions', 'members.relay', context='members')\n"


@contextmanager
def worker(prefix: str, folder: Path, **environment: str) -> Iterator[None]:
    """A worker of the deployment, ready."""
    log = folder / f"worker-{prefix}"
    with log.open("w") as output:
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "celery", "-A", "celery_app", "--quiet", "worker", "-P", "solo"),
                *("-Q", "members,members.relay", "-n", f"{prefix}members@%h", "--without-gossip", "--without-mingle"),
            ],
            env={
                **os.environ,
                **database_urls(),
                "DJANGO_SETTINGS_MODULE": "tests.settings",
                "QUEUE_PREFIX": prefix,
                **environment,
            },
            cwd=ROOT,
            stdout=output,
            stderr=output,
        )
    try:
        eventually(lambda: "ready" in log.read_text(), seconds=30)
        yield
    finally:
        process.terminate()
        process.wait(timeout=20)


def test_a_worker_takes_what_was_sent_in_its_own_deployment_and_nothing_else(
    tmp_path: Path, transactional_databases: None
) -> None:
    for prefix in ("one-", "two-"):
        run(SEND, QUEUE_PREFIX=prefix)
    assert waiting("one-members.relay") == waiting("two-members.relay") == 3
    with worker("two-", tmp_path, WORKER_REMOTE_CONTROL="true"):
        eventually(lambda: waiting("two-members.relay") == 0, seconds=30)
        assert waiting("one-members.relay") == 3
        ping = "print(len(current_app.control.ping(timeout=1)))"
        assert (run(ping, QUEUE_PREFIX="one-"), run(ping, QUEUE_PREFIX="two-")) == ("0", "1")


def test_a_full_queue_of_one_deployment_does_not_hold_back_another() -> None:
    fill = SEND.replace("range(3)", "range(broker.QUEUE_LIMIT)")
    backed_up = "print(broker.is_backed_up('members.relay'))"
    assert run(fill + backed_up, QUEUE_PREFIX="one-") == "True"
    assert run(backed_up, QUEUE_PREFIX="two-") == "False"


@pytest.mark.skipif(not settings.BROKER_URL.startswith("redis"), reason="these are names of Redis")
def test_every_name_on_the_broker_carries_the_prefix() -> None:
    names = "options = current_app.conf.broker_transport_options\n"
    names += "print([*current_app.amqp.queues, *(options[key] for key in options if key.startswith('unacked')),"
    names += " current_app.conf.control_exchange, current_app.conf.event_exchange,"
    names += " *{queue.exchange.name for queue in current_app.amqp.queues.values()}])"
    assert all(name.startswith("one-") for name in eval(run(names, QUEUE_PREFIX="one-")))
    assert {"orders", "orders.relay", "unacked", "celery", "shop"} <= set(eval(run(names))), "as the release before"


def test_a_queue_is_known_by_both_of_its_names(settings: Any) -> None:
    settings.QUEUE_PREFIX = "one-"
    assert broker.context_of("one-orders.relay") == broker.context_of("orders.relay") == "orders"


# --- What a worker brings with it -----------------------------------------------------------------


COMMANDS = """
import celery_app
from celery.worker.control import Panel
celery_app.obey_nobody()
print(*Panel.data)
"""

STEPS = """
for remote_control in (current_app.conf.worker_enable_remote_control, True):
    current_app.conf.worker_enable_remote_control = remote_control
    print(*(type(step).__name__ for step in current_app.WorkController(pool_cls="solo").consumer.steps))
"""


def test_a_worker_declares_no_queues_for_delayed_tasks() -> None:
    """Queues in RabbitMQ are of the type quorum, for which Celery declares 28 more for tasks with an ETA."""
    steps, when_asked_for = (set(line.split()) for line in run(STEPS, BROKER_URL="amqp://127.0.0.1:1//").splitlines())
    assert {"Connection", "Tasks", "Evloop"} <= steps
    assert "DelayedDelivery" not in steps
    assert when_asked_for - steps == {"Control"}


@pytest.mark.parametrize(("asked_for", "obeys"), [("false", False), ("true", True)])
def test_a_worker_obeys_nobody_unless_it_is_to(asked_for: str, obeys: bool) -> None:
    url = "redis://127.0.0.1:1/0"
    commands = run(COMMANDS, BROKER_URL=url, WORKER_REMOTE_CONTROL=asked_for).split()
    assert ("shutdown" in commands, "pool_restart" in commands) == (obeys, obeys)


# --- Bounds ---------------------------------------------------------------------------------------


def test_a_queue_may_hold_twice_what_all_its_lanes_bring(settings: Any) -> None:
    assert broker.limit_of("orders") == broker.QUEUE_LIMIT
    settings.OUTBOX_LANES = 100
    assert broker.limit_of("orders") == 2 * 100 * 6, (
        "catalogue, marketing, members (also credit), inventory (also availability)"
    )
    assert broker.limit_of("orders.relay") == 2 * 100 * 3, "inventory, members, read model"


def test_nothing_that_beat_sends_expires_by_a_clock() -> None:
    """A worker whose clock is an hour ahead of beat's runs it all the same."""
    for name, entry in current_app.conf.beat_schedule.items():
        assert "expires" not in entry["options"], name


# --- A broker that hangs --------------------------------------------------------------------------


@pytest.fixture
def black_hole() -> Iterator[int]:
    """The port of a server that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=50) as server:
        yield server.getsockname()[1]


TIMED = """
started = time.monotonic()
try:
    {call}
except broker.OperationalError:
    print("away", end=" ")
print(round(time.monotonic() - started, 1))
"""


@pytest.mark.parametrize("scheme", ["redis", "amqp"])
def test_a_broker_that_hangs_is_given_up_within_seconds(scheme: str, black_hole: int) -> None:
    url = f"{scheme}://127.0.0.1:{black_hole}//"
    outcome, seconds = run(TIMED.format(call=SEND.partition(": ")[2]), BROKER_URL=url).split()
    assert outcome == "away"
    assert float(seconds) < LIMIT
    seconds = run(TIMED.format(call="assert not broker.is_backed_up('orders')"), BROKER_URL=url)
    assert float(seconds) < LIMIT


@pytest.fixture
def valkey() -> Iterator[Valkey]:
    """A broker of the test's own, to be stopped in its tracks."""
    lifecycle.ensure_running(HANGING, ["valkey"])
    try:
        yield Valkey(HANGING)
    finally:
        lifecycle.clean(HANGING)


def test_a_broker_that_begins_to_hang_is_given_up_within_seconds(valkey: Valkey) -> None:
    """Over connections that were used before."""
    use = SEND + "assert not broker.is_backed_up('members.relay')\n"
    stop = f"import os, signal; os.kill({valkey.pid()}, signal.SIGSTOP)\n"
    try:
        calls = ("broker.send(broker.SCAN, 'members.relay', context='members')", "broker.is_backed_up('members.relay')")
        printed = run(
            use + stop + "".join(TIMED.format(call=call) for call in calls), BROKER_URL=addresses.broker_url(HANGING)
        )
    finally:
        psutil.Process(valkey.pid()).resume()
    outcome, *seconds = printed.split()
    assert outcome == "away"
    assert all(float(each) < LIMIT for each in seconds), seconds


@pytest.mark.django_db(databases="__all__")
def test_neither_a_network_that_swallows_everything_nor_a_task_that_hangs_holds_a_worker_for_long() -> None:
    for alias in settings.DATABASES:
        with connections[alias].temporary_connection() as cursor:
            timeout = cursor.connection.info.get_parameters()["tcp_user_timeout"]
        assert int(timeout) <= 30_000  # milliseconds
    assert current_app.conf.task_time_limit <= 300  # seconds
