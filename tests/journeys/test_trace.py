"""``manage.py trace``: one order's events in every context, in time."""

import json
from datetime import timedelta
from io import StringIO
from uuid import uuid4

import pytest
from django.core.management import CommandError, call_command
from django.db import OperationalError, connections

from inventory.models import OutboxEvent as InventoryEvent
from orders.models import Order
from shop.console.traces import trace_everywhere
from tests.harness import Shop


def decided_order(shop: Shop) -> Order:
    member = shop.member().pk
    shop.sell("phone", stock=1)
    shop.drain()
    shop.place(("phone", 1), member_id=member)  # another's events are no part of it
    shop.drain()
    order = shop.place(("phone", 1), member_id=member)
    shop.drain()
    return shop.order(order)


def traced(*arguments: str) -> str:
    out = StringIO()
    call_command("trace", *arguments, stdout=out)
    return out.getvalue()


def test_a_trace_shows_every_contexts_events_of_one_order_and_what_each_reacts_to(shop: Shop) -> None:
    order = decided_order(shop)
    events = json.loads(traced(str(order.pk), "--json"))["events"]
    assert [(event["context"], event["type"]) for event in events] == [
        ("orders", "orders.order-created"),
        ("inventory", "inventory.inventory-lock-failed"),
        ("orders", "orders.order-cancelled"),
    ]
    places = [{"context": event["context"], "position": event["position"]} for event in events]
    assert [event["reaction_to"] for event in events] == [None, places[0], places[1]]
    assert events[0]["gap_ms"] is None
    assert all(event["gap_ms"] > 0 for event in events[1:])
    assert all(0 <= event["lane"] < 4 for event in events)


def test_a_trace_is_a_table_that_nothing_is_cut_off_from(shop: Shop) -> None:
    order = decided_order(shop)
    created, refused, cancelled = trace_everywhere(str(order.pk))
    lines = traced(str(order.pk)).splitlines()
    assert lines[0].split() == ["order", str(order.pk)]
    (line,) = [line for line in lines if "inventory-lock-failed" in line]
    assert line.split() == [
        f"{refused.at:%H:%M:%S.%f}"[:-3],
        f"{refused.gap:+,.1f}",
        "inventory-lock-failed",
        *("inventory", f"#{refused.position}", str(refused.lane)),
        *("orders", f"#{created.position}"),
    ]
    assert f"3 events in {(cancelled.at - created.at).total_seconds():.3f} s" in lines[-1]


def test_an_effect_comes_after_its_cause_though_its_databases_clock_is_behind(shop: Shop) -> None:
    order = decided_order(shop)
    with connections["inventory"].cursor() as cursor:
        cursor.execute(
            f"UPDATE {InventoryEvent._meta.db_table} SET recorded_at = recorded_at - %s WHERE key = %s",
            [timedelta(minutes=10), str(order.pk)],
        )
    events = trace_everywhere(str(order.pk))
    assert [event.type.partition(".")[2] for event in events] == [
        "order-created",
        "inventory-lock-failed",
        "order-cancelled",
    ]
    assert events[1].gap is not None
    assert -600_000 < events[1].gap < -590_000


@pytest.mark.parametrize("text", ["", "42", "not-an-id", "'; DROP TABLE orders"])
def test_an_id_that_is_no_uuid_is_refused_by_name(text: str) -> None:
    with pytest.raises(CommandError, match="is not the id of an order: a UUID is expected") as refusal:
        traced(text)
    assert repr(text) in str(refusal.value)
    assert refusal.value.returncode == 1


def test_an_order_that_no_context_knows_is_an_error(shop: Shop) -> None:
    unknown = uuid4()
    with pytest.raises(CommandError, match=f"No context has an event of order {unknown}") as refusal:
        traced(str(unknown))
    assert refusal.value.returncode == 1


def test_a_database_that_does_not_answer_is_said_rather_than_left_out(shop: Shop) -> None:
    order = decided_order(shop)

    def away(execute, sql, params, many, context):  # type: ignore[no-untyped-def]
        raise OperationalError("connection refused")

    with (
        connections["inventory"].execute_wrapper(away),
        pytest.raises(CommandError, match="would have gaps: connection refused") as refusal,
    ):
        traced(str(order.pk))
    assert refusal.value.returncode == 2


def test_an_order_may_be_named_as_any_form_of_its_uuid(shop: Shop) -> None:
    order = decided_order(shop)
    assert traced(order.pk.hex.upper(), "--json") == traced(str(order.pk), "--json")
