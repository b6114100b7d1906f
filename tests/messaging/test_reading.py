"""What the relay reads costs what it brings, however long the backlog is."""

from typing import Any

import pytest
from django.db import connections

from shop.messaging.producer import reading
from shop.messaging.producer.partitions import SIZE
from tests.messaging.probe import SOURCE, Probe, append_unwanted, due_now, in_lane

(A,) = in_lane(0, 1)


@pytest.mark.parametrize("analyzed", [False, True])
def test_an_idle_subscription_does_not_scan_the_backlog(probe: Probe, analyzed: bool) -> None:
    """Counted in the tuples that PostgreSQL read from the outbox's tables and indexes."""
    append_unwanted(3000)
    probe.publish(A)
    append_unwanted(3000, lane=1)
    probe.drain()
    if analyzed:
        with connections[SOURCE].cursor() as cursor:
            cursor.execute("ANALYZE inventory_outboxevent")
    due_now()
    probe.drain()  # empty batches and their acknowledgements
    before = tuples_read()
    for _ in range(5):
        due_now()
        probe.drain()
    assert tuples_read() - before < 1000  # the planner's looks among them


@pytest.mark.parametrize("analyzed", [False, True])
def test_a_page_of_a_long_backlog_reads_no_more_than_a_page(probe: Probe, settings: Any, analyzed: bool) -> None:
    settings.RELAY_EVENTS = 100
    probe.publish(*[A] * 2000)
    if analyzed:
        with connections[SOURCE].cursor() as cursor:
            cursor.execute("ANALYZE inventory_outboxevent")
    probe.batch().deliver()
    before = tuples_read()
    probe.acknowledgement().deliver()
    assert 100 <= tuples_read() - before < 150


def tuples_read() -> int:
    """By all sessions up to now, from the outbox's tables and indexes."""
    with connections[SOURCE].cursor() as cursor:
        cursor.execute("SELECT pg_stat_force_next_flush()")
        cursor.execute(
            "SELECT sum(pg_stat_get_tuples_returned(oid)) FROM pg_class "
            "WHERE relname LIKE 'inventory_outboxevent_p%' AND relkind IN ('r', 'i')"
        )
        return int(cursor.fetchone()[0])


def test_only_the_lane_s_next_rows_are_read_however_many_partitions_there_are(probe: Probe) -> None:
    append_unwanted(500)
    with connections[SOURCE].cursor() as cursor:
        start = "SELECT setval('inventory_outboxevent_position', %s)"
        cursor.execute("SELECT last_value FROM inventory_outboxevent_position")
        original = cursor.fetchone()[0]
        for number in (1, 2, 3):
            cursor.execute(start, [number * SIZE + 1])
            append_unwanted(500)
        try:
            cursor.execute("ANALYZE inventory_outboxevent")
            setting, page = reading.PAGE.format(outbox="inventory_outboxevent").split(";")
            bounds = {"types": ["x"], "lane": 0, "through": reading.END, "rows": 10, "bytes": 1000}
            explain = f"{setting}; EXPLAIN (ANALYZE, FORMAT JSON) {page}"
            cursor.execute(explain, {**bounds, "after": 2 * SIZE})
            cursor.nextset()
            scans = list(_scans(cursor.fetchone()[0][0]["Plan"]))
        finally:
            cursor.execute(start, [original])
    rows = {scan["Relation Name"]: scan["Actual Rows"] for scan in scans if scan["Actual Rows"]}
    assert rows.pop("inventory_outboxevent_p2") == 10
    assert rows["inventory_outboxevent_p3"] == 1
    assert set(rows.values()) == {1}, "of a newer one only the first row is looked at"
    assert not [scan for scan in scans if scan["Relation Name"].endswith(("_p0", "_p1"))], "older ones are pruned"


def _scans(plan: dict[str, Any]) -> Any:
    if "Relation Name" in plan:
        yield plan
    for part in plan.get("Plans", ()):
        yield from _scans(part)
