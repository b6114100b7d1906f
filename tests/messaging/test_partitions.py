"""The outbox is partitioned from its first migration; partitions are made ahead of need."""

from collections.abc import Iterator

import pytest
from django.db import connections, transaction

from inventory.events import StockChanged
from shop.messaging import models as messaging
from shop.messaging.contexts import context, publishers
from shop.messaging.producer.fence import fence
from shop.messaging.producer.outbox import Entry, append
from shop.messaging.producer.partitions import AHEAD, SIZE, ensure_partitions
from tests.harness import Shop, in_background

TABLE = "inventory_outboxevent"

pytestmark = pytest.mark.usefixtures("shop")

PARTITIONED = "SELECT partstrat, partdefid FROM pg_partitioned_table WHERE partrelid = %s::regclass"
PARTITIONS = "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = %s::regclass"
SEQUENCE = "SELECT seqcache, seqincrement FROM pg_sequence WHERE seqrelid = %s::regclass"


def ask(sql: str, *params: object, alias: str = "inventory") -> list[tuple]:
    with connections[alias].cursor() as cursor:
        cursor.execute(sql, params)
        return cursor.fetchall() if cursor.description else []


def partitions() -> set[str]:
    return {name for (name,) in ask(PARTITIONS, TABLE)}


def publish(key: str = "phone") -> None:
    with transaction.atomic(using="inventory"):
        append("inventory", "inventory", [Entry(key, StockChanged(sku=key, available=0, reserved=0), {})])


@pytest.fixture
def far_on(shop: Shop) -> Iterator[int]:
    """The number of a partition that the sequence has come to, beyond all that exist; undone afterwards."""
    [(position,)] = ask(f"SELECT last_value FROM {TABLE}_position")
    before = partitions()
    number = AHEAD + 5
    ask(f"SELECT setval('{TABLE}_position', %s)", number * SIZE)
    yield number
    for name in partitions() - before:
        ask(f"DROP TABLE {name}")
    ask(f"SELECT setval('{TABLE}_position', %s)", position)


@pytest.mark.parametrize("label", ["catalogue", "members", "orders", "inventory"])
def test_every_outbox_is_partitioned_by_ranges_of_position_from_its_first_migration(label: str) -> None:
    app = context(label)
    table = app.table(messaging.OutboxEvent)._meta.db_table
    assert ask(PARTITIONED, table, alias=app.database) == [("r", 0)], "and there is no default partition"
    assert len(ask(PARTITIONS, table, alias=app.database)) >= AHEAD + 1
    assert ask(SEQUENCE, f"{table}_position", alias=app.database) == [(1, 1)], "CACHE 1"
    [(key,)] = ask(
        "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = %s::regclass AND contype = 'p'",
        table,
        alias=app.database,
    )
    assert key == 'PRIMARY KEY ("position")'


def test_these_are_all_the_outboxes() -> None:
    assert {app.label for app in publishers()} == {"catalogue", "marketing", "members", "orders", "inventory", "sample"}


def test_nothing_is_missing_where_a_fence_let_the_positions_begin() -> None:
    fence("inventory", reason="a test")
    assert ensure_partitions("inventory") == []


def test_what_is_missing_is_made_up_to_ten_ahead(far_on: int) -> None:
    made = ensure_partitions("inventory")
    assert made == [f"{TABLE}_p{number}" for number in range(far_on, far_on + AHEAD + 1)]
    assert ensure_partitions("inventory") == []
    publish()
    assert ask(f"SELECT key FROM {TABLE}_p{far_on}") == [("phone",)]


def test_a_gap_among_the_partitions_to_come_is_filled(far_on: int) -> None:
    ensure_partitions("inventory")
    ask(f"DROP TABLE {TABLE}_p{far_on + 3}")
    assert ensure_partitions("inventory") == [f"{TABLE}_p{far_on + 3}"]


def test_making_them_twice_at_once_is_harmless(far_on: int) -> None:
    runs = [in_background(lambda: ensure_partitions("inventory")) for _ in range(3)]
    made = [name for run in runs for name in run.result(20)]
    assert sorted(made) == [f"{TABLE}_p{number}" for number in range(far_on, far_on + AHEAD + 1)], "each by one of them"


def test_making_them_does_not_wait_for_a_writer_nor_a_writer_for_them(far_on: int) -> None:
    ask(f"SELECT setval('{TABLE}_position', 1000)")
    with transaction.atomic(using="inventory"):
        append("inventory", "inventory", [Entry("a", StockChanged(sku="a", available=0, reserved=0), {})])

        def make_far_on() -> list[str]:
            ask(f"SELECT setval('{TABLE}_position', %s)", far_on * SIZE)
            return ensure_partitions("inventory")

        assert len(in_background(make_far_on).result(10)) == AHEAD + 1
