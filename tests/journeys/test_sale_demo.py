"""The demo, as a user starts it: with processes of its own, which do not outlive it."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from django.conf import settings

from shop.local.servers import lifecycle
from shop.local.servers.addresses import CHECKOUT, instance_folder
from shop.local.stack.file import read

LIMIT = 240  # seconds for a whole demo on a busy machine


@pytest.fixture(scope="module")
def instance() -> Iterator[str]:
    name = f"{settings.INSTANCE}-demo"
    lifecycle.clean(name)
    yield name
    lifecycle.clean(name)


def start(instance: str, result: Path, *, buyers: int) -> "subprocess.Popen[str]":
    """On embedded servers of its own, whatever the tests use."""
    others = ("DJANGO_SETTINGS_MODULE", "BROKER_URL")
    own = {name: value for name, value in os.environ.items() if not name.endswith((*others, "DATABASE_URL"))}
    return subprocess.Popen(
        [sys.executable, "manage.py", "demo", "--buyers", str(buyers), "--stock", "7", "--result", str(result)],
        cwd=CHECKOUT,
        env={**own, "SHOP_INSTANCE": instance, "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def lines_until(process: "subprocess.Popen[str]", words: str) -> str:
    """What it prints, up to a line with these words."""
    assert process.stdout is not None
    seen = ""
    for line in process.stdout:
        seen += line
        if words in line:
            return seen
    raise AssertionError(seen)


def left_running(pids: dict[str, int]) -> list[int]:
    return [pid for pid in pids.values() if psutil.pid_exists(pid)]


def test_a_second_demo_ends_well_right_after_the_first_was_killed(instance: str, tmp_path: Path) -> None:
    killed = start(instance, tmp_path / "killed.json", buyers=100_000)
    try:
        lines_until(killed, "for 100000 buyers")
    finally:
        killed.kill()
        killed.communicate()
    second = start(instance, tmp_path / "demo.json", buyers=40)
    try:
        output = lines_until(second, "7 pieces of")
        pids = read(instance_folder(instance) / "stack.json")["pids"]
        output += second.communicate(timeout=LIMIT)[0]
    finally:
        second.kill()
        second.communicate()
    assert second.returncode == 0, output
    result = json.loads((tmp_path / "demo.json").read_text())
    assert (result["buyers"], result["stock"], result["accepted"], result["audit"]) == (40, 7, 40, "ok")
    assert (result["confirmed"], result["cancelled"], result["available"]) == (7, 33, 0)
    assert (result["oversold"], result["undecided"], result["duplicated"]) == (0, 0, 0)
    assert not (tmp_path / "killed.json").exists()
    assert lifecycle.running(instance) == []
    assert pids
    assert left_running(pids) == []


def test_an_interrupted_demo_stops_everything_and_reports_nothing(instance: str, tmp_path: Path) -> None:
    demo = start(instance, tmp_path / "demo.json", buyers=100_000)
    try:
        lines_until(demo, "for 100000 buyers")
        pids = read(instance_folder(instance) / "stack.json")["pids"]
        demo.send_signal(signal.SIGTERM)
        demo.communicate(timeout=LIMIT)
    finally:
        demo.kill()
        demo.communicate()
    assert demo.returncode == 130
    assert not (tmp_path / "demo.json").exists()
    assert lifecycle.running(instance) == []
    assert left_running(pids) == []
