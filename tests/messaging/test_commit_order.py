"""In a lane, positions are in the order of the commits, whoever writes at the same time."""

import random
from threading import Event as Signal
from uuid import uuid4

import pytest
from django.conf import settings
from django.db import connections, transaction
from django.utils import timezone

from inventory.events import InventoryLocked, StockChanged
from inventory.models import Claim, OutboxEvent, Reservation
from shop.messaging.aggregates import store
from shop.messaging.producer.outbox import Entry, append, lane_of, lanes_of
from tests.harness import Shop, eventually, in_background, waiting_for_locks
from tests.messaging.probe import in_lane

PAGE = "SELECT position, key FROM inventory_outboxevent WHERE position > %s AND lane = %s ORDER BY position"


def write(*keys: str) -> None:
    append("inventory", "inventory", [Entry(key, StockChanged(sku=key, available=0, reserved=0), {}) for key in keys])


def commit(*keys: str) -> None:
    with transaction.atomic(using="inventory"):
        write(*keys)


@pytest.fixture(autouse=True)
def outbox(shop: Shop) -> None:
    """An outbox whose lanes are counted already: no writer waits for another to count them."""
    lanes_of("inventory")


def test_a_late_commit_in_a_lane_is_never_skipped() -> None:
    early, late = in_lane(2, 2)
    appended, go_on = Signal(), Signal()

    def hold_open() -> None:
        with transaction.atomic(using="inventory"):
            write(early)
            appended.set()
            assert go_on.wait(10)

    first = in_background(hold_open)
    assert appended.wait(10)
    second = in_background(lambda: commit(late))
    eventually(lambda: waiting_for_locks("inventory") == 1)
    assert not OutboxEvent.objects.exists(), "the later event must not be seen before the earlier one"
    go_on.set()
    first.result(10), second.result(10)
    assert list(OutboxEvent.objects.order_by("position").values_list("key", flat=True)) == [early, late]


def test_a_writer_to_another_lane_does_not_wait() -> None:
    with transaction.atomic(using="inventory"):
        write(*in_lane(2, 1))
        in_background(lambda: commit(*in_lane(3, 1))).result(10)


def test_writers_that_touch_the_same_lanes_in_opposite_order_do_not_deadlock() -> None:
    keys = [*in_lane(0, 1), *in_lane(1, 1), *in_lane(2, 1), *in_lane(3, 1)]
    writers = [in_background(lambda: [commit(*keys), commit(*keys[::-1])]) for _ in range(4)]
    for writer in writers:
        writer.result(20)
    assert OutboxEvent.objects.count() == 4 * 2 * 4


def test_a_reader_that_has_seen_a_position_never_finds_a_smaller_one_later() -> None:
    writers = 4
    each = 100

    def work(seed: int) -> None:
        dice = random.Random(seed)
        for _ in range(each):
            with transaction.atomic(using="inventory"):
                write(*(f"{seed}-{dice.randrange(50)}" for _ in range(dice.randint(1, 3))))
                if dice.random() < 0.1:
                    transaction.set_rollback(True, using="inventory")

    running = [in_background(lambda seed=seed: work(seed)) for seed in range(writers)]
    seen: dict[int, list[int]] = {lane: [] for lane in range(4)}
    finished = False
    while not finished:
        finished = all(future.done() for future in running)  # before reading: the last round sees it all
        for lane, positions in seen.items():
            with connections["inventory"].cursor() as cursor:
                cursor.execute(PAGE, [positions[-1] if positions else 0, lane])
                positions.extend(position for position, _ in cursor.fetchall())
    for future in running:
        future.result()
    for lane, positions in seen.items():
        stored = OutboxEvent.objects.filter(lane=lane).order_by("position").values_list("position", flat=True)
        assert positions == list(stored)
    assert OutboxEvent.objects.count() > writers * each


def test_an_append_with_a_deferred_foreign_key_does_not_deadlock() -> None:
    """Checked at commit, the key would lock the claim's row after the lane, against the order of everybody else."""
    claim = Claim.lock(order_id=uuid4(), reservations=[], at=timezone.now())
    with transaction.atomic(using="inventory"):
        store(claim)
    holding, lane_taken = Signal(), Signal()

    def insert_then_append() -> None:
        assert holding.wait(10)
        with transaction.atomic(using="inventory"):
            Reservation.objects.create(claim=claim, sku="phone", quantity=1)
            append("inventory", "inventory", [Entry(claim.key, InventoryLocked(order_id=claim.pk), {})])

    def lock_then_append() -> None:
        with transaction.atomic(using="inventory"):
            with connections["inventory"].cursor() as cursor:
                cursor.execute("SELECT FROM inventory_claim WHERE order_id = %s FOR UPDATE", [claim.pk])
            holding.set()
            assert lane_taken.wait(10)
            append("inventory", "inventory", [Entry(claim.key, InventoryLocked(order_id=claim.pk), {})])

    one, other = in_background(insert_then_append), in_background(lock_then_append)
    eventually(lambda: waiting_for_locks("inventory") == 1)  # for the claim's row, and not with the lane in hand
    lane_taken.set()
    one.result(10), other.result(10)
    assert OutboxEvent.objects.filter(key=claim.key).count() == 3


def test_the_number_of_lanes_is_fixed_when_the_outbox_is_created(shop: Shop, settings: object) -> None:
    settings.OUTBOX_LANES = 16  # type: ignore[attr-defined]
    commit("a", "b", "c", "d", "e", "f", "g", "h")
    assert lanes_of("inventory") == 4
    assert all(event.lane == lane_of(event.key, 4) for event in OutboxEvent.objects.all())


def test_a_key_has_the_lane_of_its_crc32_in_utf_8() -> None:
    assert [lane_of(key, 4) for key in ("phone", "手机", "ключ")] == [1146066909 % 4, 2891876723 % 4, 212833818 % 4]


@pytest.mark.parametrize("alias", list(settings.CONTEXTS.values()))
def test_a_frozen_process_can_hold_a_lane_only_for_so_long(alias: str) -> None:
    connections[alias].close()  # a web request of another test may have opened it, with limits of its own
    with connections[alias].cursor() as cursor:
        cursor.execute("SELECT current_setting('idle_in_transaction_session_timeout'), current_setting('lock_timeout')")
        assert cursor.fetchone() == ("30s", "20s")
    options = settings.DATABASES[alias]["OPTIONS"]
    assert {"keepalives_idle", "keepalives_interval", "keepalives_count"} <= options.keys()
