"""Faults on purpose: the plan is a pure function of its seed, and nothing stays broken."""

import fcntl
import json
import os
import signal
import subprocess
import time
from collections import Counter

import psutil
import psycopg
import pytest

from shop.local.chaos import Fault, Kind, breaking, faults, plan
from shop.local.chaos.faults import signal_group
from shop.local.chaos.plan import MOST
from shop.local.servers import lifecycle
from shop.local.servers.addresses import database_url, instance_folder
from shop.local.servers.binaries import ServerError
from shop.local.servers.postgres import Postgres
from shop.local.servers.processes import gone
from shop.local.stack.file import StackFile
from tests.harness import eventually

CONTEXTS = ["orders", "inventory", "readmodel"]


@pytest.mark.parametrize("seed", range(20))
def test_a_seed_gives_the_same_plan_twice_in_time_order_with_every_kind(seed):
    first = plan(seed, seconds=20, contexts=CONTEXTS)
    assert first == plan(seed, seconds=20, contexts=CONTEXTS)
    assert {fault.kind for fault in first} == set(Kind)
    assert [fault.second for fault in first] == sorted(fault.second for fault in first)
    assert 0 < first[0].second < first[-1].second < 20
    assert all((fault.context in CONTEXTS) == fault.kind.startswith("worker") for fault in first)


def test_another_seed_gives_another_plan():
    plans = {tuple(plan(seed, seconds=20, contexts=CONTEXTS)) for seed in range(20)}
    assert len(plans) == 20


def test_faults_are_bounded_and_postgres_stops_once():
    for seconds in (1, 20, 3600):
        kinds = Counter(fault.kind for fault in plan(1, seconds=seconds, contexts=CONTEXTS))
        assert len(Kind) <= kinds.total() <= MOST
        assert kinds == Counter(fault.kind for fault in plan(2, seconds=seconds, contexts=CONTEXTS))
        assert kinds[Kind.POSTGRES_RESTARTED] == 1


def test_only_the_kinds_that_may_be_are_planned():
    kinds = {fault.kind for fault in plan(1, seconds=60, contexts=CONTEXTS, kinds=[Kind.BEAT_KILLED])}
    assert kinds == {Kind.BEAT_KILLED}
    assert plan(1, seconds=60, contexts=CONTEXTS, kinds=[]) == []


def test_postgres_keeps_what_was_committed_and_nobody_else_starts_it_in_between(instance):
    lifecycle.ensure_running(instance, ["postgres"])
    before = Postgres(instance).pid()
    with psycopg.connect(database_url("postgres", instance)) as connection:
        connection.execute("SET synchronous_commit = on")  # off in an instance of the tests
        connection.execute("CREATE TABLE kept AS SELECT 1 AS number")
    while_down = []

    def down():
        while_down.append(Postgres(instance).pid())
        with (instance_folder(instance) / "servers.lock").open() as lock, pytest.raises(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)

    lifecycle.crash_postgres(instance, down=down)
    assert while_down == [None]
    assert Postgres(instance).pid() not in (None, before)
    with psycopg.connect(database_url("postgres", instance)) as connection:
        assert connection.execute("SELECT number FROM kept").fetchone() == (1,)


@pytest.fixture
def beat(instance):
    """A process that its stack's file calls beat, with a child, in a group of its own."""
    with subprocess.Popen(["sh", "-c", "sleep 1003 & wait"], start_new_session=True) as process:
        write_stack(instance, up=os.getpid(), beat=process.pid)
        yield psutil.Process(process.pid)
        signal_group(process.pid, signal.SIGKILL)


def write_stack(instance, *, up, **pids):
    file = StackFile(instance).own
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps({"up": up, "pids": pids}))


def test_what_is_killed_dies_with_its_children_and_a_line_says_when(instance, beat):
    eventually(beat.children)
    (child,) = beat.children()
    said = []
    with breaking(instance, [Fault(0.1, Kind.BEAT_KILLED)], say=said.append) as chaos:
        chaos.begin()
    assert chaos.caused == {Kind.BEAT_KILLED: 1}
    assert [line.split(maxsplit=2)[2] for line in said] == ["SIGKILL beat"]
    assert float(said[0].split()[0]) >= 0.1
    eventually(lambda: gone(beat) and gone(child))


def test_an_error_ends_the_plan_and_the_frozen_runs_on_at_once(instance, beat, monkeypatch):
    monkeypatch.setattr(faults, "FROZEN", 60.0)
    write_stack(instance, up=os.getpid(), **{"worker-orders": beat.pid})
    plan = [Fault(0, Kind.WORKER_FROZEN, "orders"), Fault(1000, Kind.BEAT_KILLED)]
    began = time.monotonic()

    def interrupted():
        with breaking(instance, plan, say=lambda line: None) as chaos:
            chaos.begin()
            eventually(lambda: beat.status() == psutil.STATUS_STOPPED)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert time.monotonic() - began < 30
    eventually(lambda: beat.status() != psutil.STATUS_STOPPED)


def test_a_plan_that_never_began_keeps_nobody_waiting(instance):
    with breaking(instance, [Fault(0, Kind.BEAT_KILLED)], say=print) as chaos:
        pass
    assert not chaos.caused


def test_a_process_that_does_not_belong_to_the_stack_is_left_alone_and_the_missing_one_is_reported(
    instance, beat, monkeypatch
):
    monkeypatch.setattr(faults, "BACK_WITHIN", 0.2)
    with subprocess.Popen(["sleep", "1004"]) as other:
        write_stack(instance, up=other.pid, beat=beat.pid)
        with (
            pytest.raises(ServerError, match=r"beat did not run again within 0.2 s"),
            breaking(instance, [Fault(0, Kind.BEAT_KILLED)], say=print) as chaos,
        ):
            chaos.begin()
        other.kill()
    assert beat.is_running()
    assert not gone(beat)
