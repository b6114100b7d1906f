"""The demo, as a user starts it: with processes of its own, which do not outlive it."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import psutil
import pytest
from django.conf import settings

from shop.local.chaos import Kind
from shop.local.servers import lifecycle
from shop.local.servers.addresses import CHECKOUT, instance_folder
from shop.local.stack.file import read
from tests.harness import eventually

LIMIT = 240  # seconds for a whole demo on a busy machine

POSTGRES_FIRST = "7"  # a seed whose first fault is the restart of PostgreSQL


@pytest.fixture(scope="module")
def instance() -> Iterator[str]:
    name = f"demo-of-{settings.INSTANCE}"  # not "test…": its PostgreSQL must keep what was committed when it is stopped
    lifecycle.clean(name)
    yield name
    lifecycle.clean(name)


def environment(instance: str) -> dict[str, str]:
    """Embedded servers of its own, whatever the tests use."""
    others = ("DJANGO_SETTINGS_MODULE", "BROKER_URL")
    own = {name: value for name, value in os.environ.items() if not name.endswith((*others, "DATABASE_URL"))}
    return {**own, "SHOP_INSTANCE": instance, "PYTHONUNBUFFERED": "1"}


def start(instance: str, result: Path, *options: str, buyers: int) -> "subprocess.Popen[str]":
    command = (sys.executable, "manage.py", "demo", "--buyers", str(buyers), "--stock", "7", "--result", str(result))
    return subprocess.Popen(
        [*command, *options],
        cwd=CHECKOUT,
        env=environment(instance),
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


def promised_seconds(output: str) -> int:
    """What the stack says that stopping takes at most."""
    (seconds,) = re.findall(r"stopping, up to (\d+) s \(Ctrl-C kills at once\)", output)
    return int(seconds)


def seconds_of_stopping(output: str) -> float:
    """From "stopping" to "stopped", by the clock before each line."""
    began, ended = re.findall(r"^(\d\d:\d\d:\d\d) stopp(?:ing|ed)", output, re.MULTILINE)
    pause = datetime.strptime(ended, "%H:%M:%S") - datetime.strptime(began, "%H:%M:%S")
    return pause.seconds


def left_running(pids: dict[str, int]) -> list[int]:
    return [pid for pid in pids.values() if psutil.pid_exists(pid)]


@pytest.mark.slow
def test_a_second_demo_ends_well_right_after_the_first_was_killed(instance: str, tmp_path: Path) -> None:
    killed = start(instance, tmp_path / "killed.json", buyers=100_000)
    try:
        lines_until(killed, "for 100000 buyers")
    finally:
        killed.kill()
        killed.communicate()
    second = start(instance, tmp_path / "demo.json", "--no-chaos", "--no-mix", buyers=40)
    try:
        output = lines_until(second, "valkey runs as pid")
        servers = re.findall(r"(postgres|valkey) runs as pid (\d+)", output)
        for _, pid in servers:  # while it migrates
            os.kill(int(pid), signal.SIGKILL)
        output += lines_until(second, "7 pieces of")
        pids = read(instance_folder(instance) / "stack.json")["pids"]
        output += second.communicate(timeout=LIMIT)[0]
    finally:
        second.kill()
        second.communicate()
    assert second.returncode == 0, output
    for server, pid in servers:
        assert f"{server} (pid {pid}) died; runs again as pid" in output
    assert seconds_of_stopping(output) <= promised_seconds(output)
    result = json.loads((tmp_path / "demo.json").read_text())
    assert (result["buyers"], result["stock"], result["audit"]) == (40, 7, "ok")
    assert result["accepted"] + result["refused_sold_out"] == 40
    assert (result["confirmed"], result["cancelled"], result["available"]) == (7, result["accepted"] - 7, 0)
    assert (result["oversold"], result["undecided"], result["duplicated"]) == (0, 0, 0)
    assert (result["faults"], result["seed"], result["retries"]) == ({}, None, 0)
    assert not (tmp_path / "killed.json").exists()
    assert lifecycle.running(instance) == []
    assert pids
    assert left_running(pids) == []


def test_everything_breaks_while_the_buyers_order_and_nothing_is_lost_or_sold_twice(
    instance: str, tmp_path: Path
) -> None:
    demo = start(instance, tmp_path / "demo.json", "--seed", POSTGRES_FIRST, buyers=40)
    try:
        output = demo.communicate(timeout=LIMIT)[0]
    finally:
        demo.kill()
        demo.communicate()
    assert demo.returncode == 0, output
    result = json.loads((tmp_path / "demo.json").read_text())
    assert result["faults"] == dict.fromkeys(Kind, 1), output
    assert result["accepted"] + result["refused_sold_out"] == 40
    assert (result["confirmed"], result["cancelled"], result["audit"]) == (7, result["accepted"] - 7, "ok")
    assert (result["oversold"], result["undecided"], result["duplicated"]) == (0, 0, 0)
    assert result["retries"] > 0, "nobody noticed that PostgreSQL was away"
    mix = result["mix"]
    assert mix["faults"] == dict.fromkeys(Kind, 1), output
    assert (mix["accepted"] + mix["refused"], mix["undecided"], mix["missing"]) == (20, 0, 0)
    assert mix["shipped"] > 0
    for words in ("SIGKILL beat", "SIGSTOP", "SIGCONT", "FLUSHALL", "PostgreSQL runs again"):
        assert re.search(rf"^ +\d+\.\d s  {words}", output, re.MULTILINE), output
    assert "worker killed" in output
    assert lifecycle.running(instance) == []
    _the_command_that_it_ends_with_follows_an_order(instance, output)


def _the_command_that_it_ends_with_follows_an_order(instance: str, output: str) -> None:
    """The demo stopped its servers: the command starts them again by itself."""
    (line,) = re.findall(r"^  SHOP_INSTANCE=.* manage\.py trace .*$", output, re.MULTILINE)
    assert line.split()[0] == f"SHOP_INSTANCE={instance}"
    command = shlex.split(line)[1:]
    traced = subprocess.run(
        command, cwd=CHECKOUT, env=environment(instance), capture_output=True, text=True, timeout=60
    )
    assert traced.returncode == 0, traced.stderr
    assert "order-created" in traced.stdout


@pytest.mark.slow
def test_a_demo_that_is_interrupted_twice_while_postgres_is_down_kills_everything_and_reports_nothing(
    instance: str, tmp_path: Path
) -> None:
    lifecycle.stop(instance)
    demo = start(instance, tmp_path / "demo.json", "--seed", POSTGRES_FIRST, "--no-mix", buyers=500)
    try:
        lines_until(demo, "PostgreSQL: immediate shutdown")
        pids = read(instance_folder(instance) / "stack.json")["pids"]
        demo.send_signal(signal.SIGTERM)
        lines_until(demo, "stopping, up to")
        demo.send_signal(signal.SIGTERM)
        output = demo.communicate(timeout=LIMIT)[0]
    finally:
        demo.kill()
        demo.communicate()
    assert demo.returncode == 130
    assert "killing" in output
    assert not (tmp_path / "demo.json").exists()
    assert lifecycle.running(instance) == []
    assert pids
    eventually(lambda: left_running(pids) == [])  # what is killed takes a moment to be gone
