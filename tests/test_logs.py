"""What the processes log: one line for each thing that happened, and nothing while nothing happens."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from celery import current_app

from shop.messaging import broker
from tests.harness import database_urls, eventually

ROOT = Path(__file__).resolve().parent.parent

SAYS = """
import django, logging
django.setup()
from shop.logs import get_logger
"""


def logged_by(code: str, **environment: str) -> list[str]:
    """The lines that a process of its own logs."""
    done = subprocess.run(
        [sys.executable, "-c", SAYS + code],
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "tests.settings", **environment},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert not done.stdout
    return done.stderr.splitlines()


def test_an_event_is_one_line_with_its_fields() -> None:
    (line,) = logged_by("get_logger('shop.x').warning('parked', context='inventory', lane=2, key='a b', error='x\\ny')")
    assert line.endswith(r'WARNING shop.x: parked context=inventory lane=2 key="a b" error=x\ny')


def test_in_json_each_line_is_one_object_with_the_fields() -> None:
    code = "from uuid import UUID; get_logger('shop.x').warning('parked', lane=2, key=UUID(int=1), error='\\ud800\\0')"
    (line,) = logged_by(code, LOG_FORMAT="json")
    event = json.loads(line)
    assert event.pop("timestamp").endswith("Z")
    assert event == {
        "event": "parked",
        "level": "warning",
        "logger": "shop.x",
        "lane": 2,
        "key": "00000000-0000-0000-0000-000000000001",
        "error": "\ud800\0",
    }


@pytest.mark.parametrize(
    "code",
    [
        "get_logger('shop.x').exception('failed', lane=1)",
        "logging.getLogger('django.request').exception('failed')",
        "logging.getLogger('celery.app.trace').exception('%s', 'failed')",
        "logging.getLogger('django.server').exception('failed')",
    ],
)
def test_a_traceback_is_a_field_of_the_line_whoever_logs_it(code: str) -> None:
    (line,) = logged_by(f"try:\n  1 / 0\nexcept ZeroDivisionError:\n  {code}", LOG_FORMAT="json")
    event = json.loads(line)
    assert event["event"] == "failed"
    assert event["exception"].startswith("Traceback (most recent call last):")
    assert event["exception"].endswith("ZeroDivisionError: division by zero")


def test_what_is_below_the_level_is_not_logged() -> None:
    code = "get_logger('shop.x').info('resent'); logging.getLogger('shop.y').info('resent')"
    assert len(logged_by(code)) == 2
    assert logged_by(code, LOG_LEVEL="WARNING") == []


def test_a_format_that_does_not_exist_is_refused_by_name() -> None:
    with pytest.raises(subprocess.CalledProcessError) as refused:
        logged_by("", LOG_FORMAT="xml")
    assert "LOG_FORMAT" in refused.value.stderr


Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def celery(tmp_path: Path) -> Iterator[Start]:
    """Starts Celery's processes; their logs, in JSON, are files named by their first argument."""
    started = []

    def start(*arguments: str) -> subprocess.Popen[str]:
        with (tmp_path / arguments[0]).open("w") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "celery", "-A", "celery_app", "--quiet", *arguments],
                env={**os.environ, **database_urls(), "DJANGO_SETTINGS_MODULE": "tests.settings", "LOG_FORMAT": "json"},
                cwd=ROOT,
                stdout=log,
                stderr=log,
                text=True,
            )
        started.append(process)
        return process

    yield start
    for process in started:
        process.send_signal(signal.SIGTERM)
    for process in started:
        process.wait(timeout=20)
    current_app.control.purge()


def events_of(log: Path) -> Sequence[dict[str, str]]:
    """:raises ValueError: if a line is not JSON."""
    return [json.loads(line) for line in log.read_text().splitlines()]


def waiting(queue: str) -> int:
    with current_app.connection_for_write() as connection:
        try:
            return int(connection.default_channel.queue_declare(queue, passive=True).message_count)
        except connection.channel_errors:  # with Redis, an empty queue does not exist
            return 0


def test_a_worker_and_beat_log_nothing_while_nothing_happens(
    celery: Start, tmp_path: Path, transactional_databases: None
) -> None:
    queue = broker.relay_queue("members")
    schedule = str(tmp_path / "schedule")
    celery("worker", "-Q", queue, "-P", "solo", "--without-gossip", "--without-mingle", "--without-heartbeat")
    eventually(lambda: any("ready" in event["event"] for event in events_of(tmp_path / "worker")), seconds=30)
    started = len(events_of(tmp_path / "worker"))
    for _ in range(20):
        broker.send("shop.messaging.tasks.create_partitions", queue, context="members")
    eventually(lambda: waiting(queue) == 0)
    celery("beat", "-s", schedule)
    eventually(lambda: waiting("orders.relay") > 4, seconds=30)  # beat sends; nobody takes those of others here
    eventually(lambda: waiting(queue) == 0)
    assert events_of(tmp_path / "worker")[started:] == []
    assert events_of(tmp_path / "beat") == []
