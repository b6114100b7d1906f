"""A process that is frozen between its append and its commit stops its own lane, and nothing else."""

import multiprocessing
import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event as Signal

import psycopg
import pytest
from django.db import OperationalError, connections, transaction

from inventory.models import OutboxEvent
from orders.models import Order
from shop.api.errors import problem_response
from shop.messaging.consumer.transient import is_transient
from shop.messaging.producer import locks
from shop.messaging.producer.outbox import lane_of, lanes_of, lock_class
from tests.harness import PROMPT, Shop, eventually, in_background, waiting_for_locks
from tests.messaging.probe import in_lane
from tests.messaging.test_commit_order import commit, write

pytestmark = pytest.mark.usefixtures("counted")


@pytest.fixture
def counted(shop: Shop) -> None:
    """Outboxes whose lanes are counted already: no writer waits for another to count them."""
    for label in ("inventory", "orders"):
        lanes_of(label)


@contextmanager
def held(lane: int, label: str = "inventory") -> Iterator[None]:
    """Another connection holds a lane, as an append does whose transaction is open."""
    other = connections[label].copy()
    other.set_autocommit(False)
    try:
        with other.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", [lock_class(f"{label}_outboxevent"), lane])
        yield
    finally:
        other.rollback()
        other.close()


def seconds(work: Callable[[], object]) -> float:
    start = time.monotonic()
    work()
    return time.monotonic() - start


@pytest.fixture
def selling(shop: Shop) -> Shop:
    shop.sell("phone", stock=1000)
    shop.drain()
    return shop


# Intake


def test_intake_goes_on_in_the_other_lanes_while_one_is_held(selling: Shop) -> None:
    with held(2, "orders"):
        orders = []
        for _ in range(20):
            assert seconds(lambda: orders.append(selling.place(("phone", 1)))) < PROMPT
    lanes = {lane_of(order.key, 4) for order in orders}
    assert lanes == {0, 1, 3}


def test_intake_goes_on_in_the_last_free_lane(selling: Shop) -> None:
    with held(0, "orders"), held(1, "orders"), held(3, "orders"):
        for _ in range(5):
            order = []
            assert seconds(lambda order=order: order.append(selling.place(("phone", 1)))) < PROMPT
            assert lane_of(order[0].key, 4) == 2


def test_intake_finds_the_lane_that_moves_among_frozen_ones(selling: Shop) -> None:
    """It is never free when looked at, but nobody keeps it."""
    stop = Signal()

    def keep_busy() -> None:
        while not stop.is_set():
            with transaction.atomic(using="orders"), connections["orders"].cursor() as cursor:
                cursor.execute("SELECT pg_advisory_xact_lock(%s, 2)", [lock_class("orders_outboxevent")])
                cursor.execute("SELECT pg_sleep(0.01)")

    with held(0, "orders"), held(1, "orders"), held(3, "orders"):
        busy = [in_background(keep_busy) for _ in range(3)]
        try:
            for _ in range(5):
                assert seconds(lambda: selling.place(("phone", 1))) < PROMPT
        finally:
            stop.set()
        for future in busy:
            future.result(10)


def test_an_order_that_changes_its_lane_is_placed_once_and_its_key_stands_for_it(selling: Shop) -> None:
    with held(0, "orders"), held(1, "orders"), held(2, "orders"):
        order = selling.place(("phone", 1), key="k")
    assert selling.place(("phone", 1), key="k").pk == order.pk
    assert Order.objects.count() == 1
    selling.drain()
    assert selling.order(order).status == "confirmed"


def test_where_every_lane_is_held_intake_gives_up_with_503(selling: Shop) -> None:
    with held(0, "orders"), held(1, "orders"), held(2, "orders"), held(3, "orders"):
        with connections["orders"].cursor() as cursor:
            cursor.execute("SET lock_timeout = '200ms'")
        try:
            with pytest.raises(OperationalError) as refusal:
                selling.place(("phone", 1))
        finally:
            with connections["orders"].cursor() as cursor:
                cursor.execute("RESET lock_timeout")
    answer = problem_response(refusal.value, {})
    assert answer is not None
    assert (answer.status_code, "Retry-After" in answer.headers) == (503, True)
    assert is_transient(refusal.value)
    assert not Order.objects.exists()


def _append_and_freeze(url: str, lock: int, lane: int) -> None:
    with psycopg.connect(url) as connection:
        connection.execute("SELECT pg_advisory_xact_lock(%s, %s)", [lock, lane])
        os.kill(os.getpid(), signal.SIGSTOP)


def test_a_frozen_process_stops_no_intake(selling: Shop) -> None:
    lock = lock_class("orders_outboxevent")
    parameters = connections["orders"].get_connection_params()
    address = {name: parameters[name] for name in ("dbname", "user", "password", "host", "port") if name in parameters}
    url = psycopg.conninfo.make_conninfo(**address)
    frozen = multiprocessing.get_context("spawn").Process(target=_append_and_freeze, args=(url, lock, 1))
    frozen.start()
    try:
        with connections["orders"].cursor() as cursor:
            lane_lock = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 1 AND granted"
            eventually(lambda: cursor.execute(lane_lock) or cursor.fetchone()[0], seconds=30)
        for _ in range(12):
            assert seconds(lambda: selling.place(("phone", 1))) < PROMPT
    finally:
        frozen.kill()
        frozen.join()


# Appends to several lanes


@pytest.fixture
def across() -> list[str]:
    """A key in each lane."""
    return [key for lane in range(4) for key in in_lane(lane, 1)]


def test_an_append_to_several_lanes_holds_none_while_it_waits_for_one(across: list[str]) -> None:
    with held(3):
        wide = in_background(lambda: commit(*across))
        eventually(lambda: waiting_for_locks("inventory") == 1)
        time.sleep(2 * locks.PATIENCE / 1000)  # beyond its patience for all at once
        eventually(lambda: waiting_for_locks("inventory") == 1)
        for lane in (0, 1, 2):
            assert seconds(lambda lane=lane: commit(*in_lane(lane, 1))) < locks.PATIENCE / 1000
        assert not wide.done()
    wide.result(10)
    events = OutboxEvent.objects.order_by("position")
    assert [event.key for event in events][-4:] == across, "in the order given, behind those that did not wait"
    assert events.count() == 3 + 4


def test_what_was_written_before_a_long_wait_is_kept(across: list[str]) -> None:
    """Only the lanes are given back, not the rows; and constraints stay immediate."""

    def write_and_append() -> None:
        with transaction.atomic(using="inventory"):
            with connections["inventory"].cursor() as cursor:
                cursor.execute("INSERT INTO inventory_stockitem (sku, available, reserved) VALUES ('kept', 7, 0)")
            write(*across)

    with held(1):
        wide = in_background(write_and_append)
        eventually(lambda: waiting_for_locks("inventory") == 1)
        time.sleep(2 * locks.PATIENCE / 1000)
    wide.result(10)
    with connections["inventory"].cursor() as cursor:
        cursor.execute("SELECT available FROM inventory_stockitem WHERE sku = 'kept'")
        assert cursor.fetchall() == [(7,)]


@pytest.mark.parametrize("lane_held", [None, 3])
def test_the_connection_s_own_limit_is_as_before_after_an_append(across: list[str], lane_held: int | None) -> None:
    def limit_after() -> tuple[str, str]:
        with connections["inventory"].cursor() as cursor:
            cursor.execute("SET lock_timeout = '7s'")
            with transaction.atomic(using="inventory"):
                write(*across)
                cursor.execute("SELECT current_setting('lock_timeout')")
                inside = cursor.fetchone()[0]
            cursor.execute("SELECT current_setting('lock_timeout')")
            return inside, cursor.fetchone()[0]

    if lane_held is None:
        assert in_background(limit_after).result(10) == ("7s", "7s")
        return
    with held(lane_held):
        limits = in_background(limit_after)
        eventually(lambda: waiting_for_locks("inventory") == 1)
        time.sleep(2 * locks.PATIENCE / 1000)
    assert limits.result(10) == ("7s", "7s")


def test_an_append_waits_no_longer_than_the_connection_s_limit(across: list[str]) -> None:
    def wait() -> float:
        with connections["inventory"].cursor() as cursor:
            cursor.execute("SET lock_timeout = '500ms'")
        start = time.monotonic()
        with pytest.raises(OperationalError) as failure:
            commit(*across)
        assert is_transient(failure.value)
        return time.monotonic() - start

    with held(3):
        assert 0.4 < in_background(wait).result(10) < 1.5
    assert not OutboxEvent.objects.exists()


def test_a_lock_that_is_no_lane_s_is_not_waited_for_again(across: list[str]) -> None:
    """A deferred constraint waits for a row before any lane is taken: that wait has the connection's limit alone."""
    with connections["inventory"].cursor() as cursor:
        cursor.execute("CREATE TABLE parent (id int PRIMARY KEY); INSERT INTO parent VALUES (1)")
        cursor.execute("CREATE TABLE child (id int REFERENCES parent DEFERRABLE INITIALLY DEFERRED)")
    other = connections["inventory"].copy()
    other.set_autocommit(False)
    try:
        with other.cursor() as cursor:
            cursor.execute("SELECT FROM parent FOR UPDATE")

        def write_behind_the_constraint() -> None:
            with transaction.atomic(using="inventory"), connections["inventory"].cursor() as cursor:
                cursor.execute("SET LOCAL lock_timeout = '50ms'")
                cursor.execute("INSERT INTO child VALUES (1)")
                write(*across)

        with pytest.raises(OperationalError) as failure:
            write_behind_the_constraint()
        assert is_transient(failure.value)
    finally:
        other.rollback()
        other.close()
        with connections["inventory"].cursor() as cursor:
            cursor.execute("DROP TABLE child, parent")


def test_appends_to_many_lanes_and_to_one_neither_deadlock_nor_starve(across: list[str]) -> None:
    end = time.monotonic() + 4
    dice = random.Random(1)

    def keep_appending(*keys: str) -> int:
        count = 0
        while time.monotonic() < end:
            commit(*keys)
            count += 1
        return count

    lone = [in_background(lambda key=key: keep_appending(key)) for key in across for _ in range(3)]
    pairs = [in_background(lambda: keep_appending(*dice.sample(across, 2))) for _ in range(2)]
    wide = [in_background(lambda: keep_appending(*across)) for _ in range(2)]
    counts = [future.result(30) for future in (*lone, *pairs, *wide)]
    assert min(counts[-2:]) > 5, "appends to all lanes get their turn"
    assert min(counts) > 0
    assert OutboxEvent.objects.count() == sum(counts[:12]) + 2 * sum(counts[12:14]) + 4 * sum(counts[14:])


def test_an_append_to_all_lanes_gets_its_turn_where_the_queues_are_longer_than_its_first_patience(
    across: list[str],
) -> None:
    done = Signal()

    def keep_appending_slowly(key: str) -> None:
        while not done.wait(0):
            with transaction.atomic(using="inventory"):
                write(key)
                time.sleep(0.01)  # the disk

    queues = [in_background(lambda key=key: keep_appending_slowly(key)) for key in across for _ in range(15)]
    try:
        eventually(lambda: waiting_for_locks("inventory") > 40)
        for _ in range(2):
            in_background(lambda: commit(*across)).result(10)
    finally:
        done.set()
        for queue in queues:
            queue.result(10)
