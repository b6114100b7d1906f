"""A look at an idle outbox costs the same, however many partitions there are and however old a lane's last row is."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
from django.db import connections, transaction

from inventory.models import Subscription
from shop.messaging.producer import partitions, quiet
from shop.messaging.producer.due import due
from shop.messaging.producer.fence import present
from shop.messaging.producer.outbox import lock_class
from shop.messaging.producer.partitions import add_partitions
from tests.harness import Shop, in_background
from tests.messaging.probe import NAME, SOURCE, Probe, append_unwanted, in_lane, subscription
from tests.messaging.test_commit_order import write
from tests.messaging.test_partitions import ask

FAR = 5_000_000_000  # a position beyond every partition that there is
SIZE = 100
MANY = 60  # partitions

TABLE = "inventory_outboxevent"

LOCKS = """
SELECT count(DISTINCT inhrelid) FROM pg_locks
JOIN pg_inherits ON inhparent = %s::regclass AND relation = inhrelid
WHERE pid = pg_backend_pid()
"""


def set_position(position: int) -> None:
    ask(f"SELECT setval('{TABLE}_position', %s)", position)


@pytest.fixture(scope="module")
def _many_partitions(django_db_setup: None, django_db_blocker: pytest.Item) -> Iterator[None]:
    with django_db_blocker.unblock(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(partitions, "SIZE", SIZE)
        with transaction.atomic(using=SOURCE), connections[SOURCE].cursor() as cursor:
            made = add_partitions(cursor, TABLE, FAR, MANY + 3)
        yield
        ask("DROP TABLE " + ", ".join(made))


@pytest.fixture
def far_behind(shop: Shop, _many_partitions: None, probe: Probe, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Many partitions: lane 0 has one row, in the first of them, acknowledged; the others have rows in the newest."""
    monkeypatch.setattr(partitions, "SIZE", SIZE)
    monkeypatch.setattr(quiet, "_quiet", {})
    present(SOURCE)  # fenced by now: what follows sets the position by hand
    [(before,)] = ask(f"SELECT last_value FROM {TABLE}_position")
    set_position(FAR)
    probe.publish(*in_lane(0, 1))
    probe.drain()
    set_position(FAR + MANY * SIZE)
    probe.publish(*(key for lane in (1, 2, 3) for key in in_lane(lane, 1)))
    probe.drain()
    assert subscription().scanned == FAR + 1
    quiet._quiet.clear()
    yield
    set_position(before)


def touch(sql: str, params: dict[str, int]) -> None:
    with connections[SOURCE].cursor() as cursor:
        cursor.execute(sql, params)


def look() -> list[tuple[str, int]]:
    rows = Subscription.objects.in_bulk([each.pk for each in due(SOURCE, [NAME])])
    return [(row.consumer, row.lane) for row in rows.values()]


def partitions_touched(work: Callable[[], object]) -> int:
    """By all statements of ``work`` together."""
    with transaction.atomic(using=SOURCE):
        work()
        return int(ask(LOCKS, TABLE)[0][0])


def test_an_idle_look_touches_the_newest_partitions_only(far_behind: None) -> None:
    assert look() == []
    assert partitions_touched(lambda: look()) <= 2


def test_the_first_look_of_a_process_touches_a_few_partitions_at_a_time(far_behind: None) -> None:
    statements: list[tuple[str, dict[str, int]]] = []

    def note(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if sql == quiet.ANY_ROW.format(table=TABLE):
            statements.append((sql, params))
        return execute(sql, params, many, context)

    with connections[SOURCE].execute_wrapper(note):
        assert look() == []
    assert [params["after"] for _, params in statements[1:]] == [params["to"] for _, params in statements[:-1]]
    assert (statements[0][1]["after"], statements[-1][1]["to"] > FAR + MANY * SIZE) == (FAR + 1, True), "all of it"
    assert max(partitions_touched(partial(touch, *statement)) for statement in statements) <= quiet.STRIDE


def test_a_new_row_in_a_lane_that_was_quiet_for_long_is_seen(far_behind: None, probe: Probe) -> None:
    assert look() == []
    probe.publish(*in_lane(0, 1))
    assert look() == [(NAME, 0)]
    probe.drain()
    assert look() == []


def test_a_row_somewhere_in_between_is_seen(far_behind: None) -> None:
    [(head,)] = ask(f"SELECT last_value FROM {TABLE}_position")
    set_position(FAR + 30 * SIZE)
    append_unwanted(1)
    set_position(head)
    assert look() == [(NAME, 0)]


def test_a_row_whose_position_was_drawn_before_the_look_and_committed_after_it_is_seen(
    far_behind: None, probe: Probe
) -> None:
    """What is remembered as empty is only what nobody can write to any more."""
    other = connections[SOURCE].copy()
    other.set_autocommit(False)
    with other.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s, 0)", [lock_class(TABLE)])
        cursor.execute(f"INSERT INTO {TABLE} (lane, type, key, data, headers) VALUES (0, 'x', 'x', '{{}}', '{{}}')")
    set_position(FAR + (MANY + 1) * SIZE)
    probe.publish(*in_lane(1, 1))
    probe.drain()
    assert look() == []
    other.commit()
    other.close()
    assert look() == [(NAME, 0)]


def test_a_look_through_the_past_keeps_no_lane(far_behind: None) -> None:
    look()
    with transaction.atomic(using=SOURCE):
        write(*in_lane(0, 1))
        assert in_background(look).result(10) == []


def test_a_consumer_that_was_set_back_gets_what_lies_behind_what_is_known_to_be_empty(
    far_behind: None, probe: Probe
) -> None:
    assert look() == []
    Subscription.objects.filter(lane=0).update(scanned=FAR, acknowledged=FAR)
    assert look() == [(NAME, 0)]


def test_a_sequence_that_was_set_back_is_not_taken_for_empty(far_behind: None, probe: Probe) -> None:
    assert look() == []
    set_position(FAR + 40 * SIZE)
    probe.publish(*in_lane(0, 1))
    assert look() == [(NAME, 0)]
