import os
import re
import signal
import subprocess
import sys
import textwrap
import time
from dataclasses import replace

import psutil
import pytest

from shop.local.servers import addresses
from shop.local.servers.processes import gone
from shop.local.stack.supervision import Program, Supervisor
from tests.harness import eventually

PROGRAMS = [
    Program("parent", ("sh", "-c", "sleep 1001 & wait"), rank=1, patience=2),
    Program("sleeper", ("sleep", "1002"), rank=2, patience=2),
]


def watch_until(supervisor, condition, seconds=20):
    limit = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < limit, "not in time"
        supervisor.watch(0.05)


def ended(pid):
    return not psutil.pid_exists(pid) or gone(psutil.Process(pid))


@pytest.fixture
def said():
    return []


@pytest.fixture
def supervisor(instance, said):
    supervisor = Supervisor(addresses.instance_folder(instance), PROGRAMS, said.append)
    supervisor.start()
    watch_until(supervisor, lambda: len(supervisor.pids) == 2)
    yield supervisor
    supervisor.stop()


def test_what_dies_runs_again_and_one_line_tells_who_of_what_and_the_new_pid(supervisor, said):
    before = supervisor.pids["sleeper"]
    os.kill(before, signal.SIGKILL)
    watch_until(supervisor, lambda: supervisor.pids.get("sleeper", before) != before)
    assert said == [
        f"sleeper (pid {before}) died: terminated by SIGKILL; runs again as pid {supervisor.pids['sleeper']}"
    ]


def test_the_children_of_a_killed_parent_do_not_go_on_working(supervisor):
    parent = psutil.Process(supervisor.pids["parent"])
    watch_until(supervisor, parent.children)
    (child,) = parent.children()
    parent.kill()
    watch_until(supervisor, lambda: ended(child.pid))


def test_they_stop_from_the_last_rank_to_the_first_and_nothing_is_left(supervisor):
    pids = list(supervisor.pids.values())
    supervisor.stop()
    assert all(map(ended, pids))
    log = (supervisor.folder / "log" / "supervisord.log").read_text()
    assert re.findall(r"stopped: (\w+)", log.rpartition("supervisord started")[2]) == ["sleeper", "parent"]


def test_when_supervisord_is_killed_everything_is_started_again_and_nothing_runs_twice(supervisor):
    before = dict(supervisor.pids)
    psutil.Process(before["sleeper"]).parent().kill()
    watch_until(supervisor, lambda: before.items().isdisjoint(supervisor.pids.items()) and len(supervisor.pids) == 2)
    assert all(map(ended, before.values()))


def test_when_we_are_killed_everything_ends(instance):
    code = f"""
        import django
        django.setup()
        from shop.local.stack.supervision import Supervisor
        from tests.local.test_supervision import PROGRAMS, addresses
        supervisor = Supervisor(addresses.instance_folder({instance!r}), PROGRAMS, print)
        supervisor.start()
        while len(supervisor.pids) < 2:
            supervisor.watch(0.1)
        print(*supervisor.pids.values(), flush=True)
        supervisor.watch(60)
    """
    command = [sys.executable, "-c", textwrap.dedent(code)]
    with subprocess.Popen(command, cwd=addresses.CHECKOUT, stdout=subprocess.PIPE, text=True) as we:
        pids = [int(word) for word in we.stdout.readline().split()]
        we.kill()
    assert len(pids) == 2
    limit = time.monotonic() + 20
    while not all(map(ended, pids)):
        assert time.monotonic() < limit
        time.sleep(0.05)


def test_logs_are_bounded_and_for_their_owner_alone(supervisor):
    folder = supervisor.folder / "log"
    watch_until(supervisor, lambda: (folder / "sleeper.log").exists())
    assert {log.stat().st_mode & 0o777 for log in folder.iterdir()} == {0o600}
    configuration = (supervisor.folder / "supervisord.conf").read_text()
    assert configuration.count("stdout_logfile_maxbytes = 10MB") == len(PROGRAMS)


def test_what_does_not_stop_is_killed_within_the_limit_that_is_promised_and_at_once_when_hurried(instance, said):
    stubborn = [
        Program("stubborn", ("sh", "-c", "trap '' TERM; echo ready; sleep 1003; sleep 1003"), rank=1, patience=1)
    ]
    for patience, hurried, limit in ((1, False, 2), (60, True, 61)):
        supervisor = Supervisor(
            addresses.instance_folder(instance), [replace(stubborn[0], patience=patience)], said.append
        )
        supervisor.start()
        log = supervisor.folder / "log" / "stubborn.log"
        log.unlink(missing_ok=True)
        watch_until(supervisor, lambda: supervisor.pids and log.exists() and "ready" in log.read_text())  # noqa: B023
        (pid,) = supervisor.pids.values()
        began = time.monotonic()
        assert supervisor.stop_limit == limit
        supervisor.stop(hurried=lambda: hurried)  # noqa: B023
        assert time.monotonic() - began < 20
        eventually(lambda: ended(pid))  # noqa: B023
