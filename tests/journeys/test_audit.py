"""What the audit says of a shop that is well, at rest or moving, and how it says what is not."""

import json
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from io import StringIO
from typing import Any

import psycopg
import pytest
from django.core.management import call_command
from django.db import connections
from django.utils import timezone

from inventory.services import receive_stock
from orders.models import Order
from orders.services import OrderRefused
from readmodel.models import MemberName
from shop.console.audit import Report, audit, wait_until_at_rest
from shop.console.audit.running import FAMILIES, INVARIANTS, SHOWN
from shop.console.audit.snapshots import Row, Sessions
from shop.messaging.consumer.deadletters import discard
from shop.messaging.producer.relay import relay
from tests.harness import Shop, name_participants


def run(alias: str, sql: str) -> None:
    with connections[alias].cursor() as cursor:
        cursor.execute(sql)


def states(report: Report) -> dict[str, str]:
    return {result.invariant.name: result.state for result in report.results}


@pytest.fixture
def unhurried(settings: Any) -> None:
    """No batch is late and nobody is idle, however long the audits take in between."""
    settings.RELAY_RESEND_AFTER = timedelta(minutes=1)
    settings.RELAY_IDLE = timedelta(minutes=10)


def test_the_audit_passes_after_each_step_of_a_running_flow(shop: Shop, unhurried: None) -> None:
    member = shop.member().pk
    shop.sell("phone", stock=3)
    shop.sell("case", stock=1)
    shop.drain()
    placed = [shop.place(("phone", 2), ("case", 1), member_id=member, key=f"key {number}") for number in range(4)]
    shop.cancel(placed[3])
    steps = waited = 0
    while shop.deliveries.waiting or shop.scan():
        report = audit()
        assert report.broken == []
        steps += 1
        waited += states(report)["orders.decided"] == "waiting"
        if shop.deliveries.waiting:
            shop.deliveries.next().deliver()
    assert steps > waited > 5
    assert set(states(audit()).values()) == {"ok"}


def test_the_audit_passes_in_an_empty_shop(shop: Shop) -> None:
    assert set(states(audit()).values()) == {"ok"}


def test_the_audit_passes_while_the_read_model_shows_an_order_of_a_member_it_has_not_heard_of(shop: Shop) -> None:
    def deliver(source: str) -> None:
        relay(source)
        while shop.deliveries.waiting:
            shop.deliveries.next().deliver()
            shop.deliveries.take("readmodel", source="members")

    stranger = shop.member().pk
    shop.sell("phone", stock=1)
    deliver("catalogue")
    shop.place(("phone", 1), member_id=stranger)
    deliver("orders")
    assert MemberName.objects.get(pk=stranger).name == ""
    assert audit().broken == []


def test_an_order_that_its_events_passed_by_is_undecided_at_rest(shop: Shop) -> None:
    member = shop.member().pk
    shop.sell("phone", stock=1)
    shop.drain()
    order = shop.place(("phone", 1), member_id=member)
    assert states(audit())["orders.decided"] == "waiting"
    run("inventory", "UPDATE inventory_cursor SET position = 9000000000000000000 WHERE source = 'orders'")
    run("default", "UPDATE members_cursor SET position = 9000000000000000000 WHERE source = 'orders'")
    run("readmodel", "UPDATE readmodel_cursor SET position = 9000000000000000000 WHERE source = 'orders'")
    report = audit()
    assert {"orders.decided", "claims.orders", "readmodel.orders"} <= set(report.broken)
    rows = {result.invariant.name: result.rows for result in report.results}
    assert [row["order_id"] for row in rows["orders.decided"]] == [order.pk]


def test_a_snapshot_stays_as_it_was_and_cannot_be_written_through(shop: Shop) -> None:
    shop.sell("phone", stock=3)
    with Sessions() as sessions, sessions.snapshot("inventory") as earlier:
        receive_stock(sku="phone", quantity=1, at=timezone.now())
        assert earlier.rows("SELECT available FROM inventory_stockitem") == [{"available": 3}]
        assert list(earlier.stream("SELECT available FROM inventory_stockitem")) == [{"available": 3}]
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            earlier.rows("DELETE FROM inventory_stockitem RETURNING sku")
    assert shop.stock("phone") == (4, 0)


def test_keys_with_a_dead_letter_are_left_out_and_listed(shop: Shop) -> None:
    member = shop.member().pk
    shop.sell("phone", stock=5)
    shop.drain()
    run("orders", "UPDATE orders_productcopy SET sku = 'ghost', listed = true")
    poisonous = shop.place(("ghost", 1), member_id=member)
    run("orders", "UPDATE orders_productcopy SET sku = 'phone'")
    run("inventory", "ALTER TABLE inventory_claim ADD CONSTRAINT no_failures CHECK (status <> 'failed')")
    try:
        fine = shop.place(("phone", 1), member_id=member)
        shop.drain()
    finally:
        run("inventory", "ALTER TABLE inventory_claim DROP CONSTRAINT no_failures")
    assert shop.order(fine).status == "confirmed"
    report = audit()
    assert report.broken == []
    assert [(letter["consumer"], letter["key"]) for letter in report.letters] == [("inventory", str(poisonous.pk))]
    assert states(report)["orders.decided"] == "ok"


# Letters that were given up


@pytest.fixture
def broken_inventory(shop: Shop) -> Iterator[None]:
    """The inventory can neither refuse an order nor release what one holds."""
    run("inventory", "ALTER TABLE inventory_claim ADD CONSTRAINT none CHECK (status = 'locked') NOT VALID")
    yield
    run("inventory", "ALTER TABLE inventory_claim DROP CONSTRAINT IF EXISTS none")


def give_up(shop: Shop, label: str, order: Order) -> int:
    """Discard the only letter of an order; its position."""
    (letter,) = [letter for letter in shop.letters(label) if letter.key == str(order.pk)]
    assert discard(label, position=letter.position, source=letter.source, by="ada")
    position: int = letter.position
    return position


def given_up(report: Report) -> list[Row]:
    (result,) = [result for result in report.results if result.invariant.name == "letters.discarded"]
    return result.rows


def test_a_cancellation_that_was_given_up_is_found_by_the_stock_that_the_order_still_holds(
    shop: Shop, broken_inventory: None
) -> None:
    member = shop.member().pk
    shop.sell("phone", stock=5)
    shop.drain()
    order = shop.place(("phone", 1), member_id=member)
    shop.drain()
    shop.cancel(order)
    shop.drain()
    assert audit().broken == [], "it waits for an operator, and is listed"
    position = give_up(shop, "inventory", order)
    report = audit()
    assert report.broken == ["letters.discarded"]
    (row,) = given_up(report)
    assert row["discarded_at"] is not None
    assert row | {"discarded_at": None} == {
        "consumer": "inventory",
        "source": "orders",
        "position": position,
        "type": "orders.order-cancelled",
        "key": str(order.pk),
        "discarded_at": None,
        "discarded_by": "ada",
        "invariant": "claims.orders",
        "order_id": str(order.pk),
        "fault": "cancelled, not released",
        "ordered": "1 × phone",
        "cancelled": True,
        "claim": "locked",
        "holds": "1 × phone",
        "shipped": False,
        "returned": None,
        "came_back": None,
    }


def test_a_creation_that_was_given_up_is_found_until_the_order_is_cancelled(shop: Shop, broken_inventory: None) -> None:
    member = shop.member().pk
    shop.sell("phone", stock=1)
    shop.drain()
    order = shop.place(("phone", 2), member_id=member)
    shop.drain()
    position = give_up(shop, "inventory", order)
    report = audit()
    assert report.broken == ["letters.discarded"]
    assert {(row["position"], row["invariant"], row.get("fault")) for row in given_up(report)} == {
        (position, "claims.orders", "heard of, not claimed"),
        (position, "orders.decided", None),
    }
    run("inventory", "ALTER TABLE inventory_claim DROP CONSTRAINT none")
    shop.cancel(order)
    shop.drain()
    report = audit()
    assert report.broken == [], "nothing is left unbalanced"
    assert [(letter["position"], letter["discarded_by"]) for letter in report.letters] == [(position, "ada")]
    out = StringIO()
    call_command("audit", stdout=out)
    assert f"given up  orders.order-created #{position} of orders, key {order.pk}, given up by ada at" in out.getvalue()


def test_a_key_with_a_letter_given_up_and_another_that_waits_is_set_aside(shop: Shop, broken_inventory: None) -> None:
    member = shop.member().pk
    shop.sell("phone", stock=1)
    shop.drain()
    order = shop.place(("phone", 2), member_id=member)
    shop.drain()
    shop.cancel(order)
    shop.drain()
    first, second = shop.letters("inventory").order_by("position")
    assert discard("inventory", position=first.position, source="orders")
    assert audit().broken == []
    assert discard("inventory", position=second.position, source="orders")
    report = audit()
    assert report.broken == ["letters.discarded"]
    assert [row["position"] for row in given_up(report)] == [first.position]


# Snapshots


def open_snapshots() -> set[str]:
    """The families of which somebody holds a snapshot on the server."""
    with connections["orders"].cursor() as cursor:
        cursor.execute(
            "SELECT application_name FROM pg_stat_activity "
            "WHERE application_name LIKE 'audit: %' AND backend_xmin IS NOT NULL"
        )
        return {name.removeprefix("audit: ") for (name,) in cursor.fetchall()}


def test_no_snapshot_of_one_family_is_open_while_another_is_checked(shop: Shop) -> None:
    shop.sell("phone", stock=1)
    shop.drain()
    seen: dict[str, set[str]] = {}
    audit(before_each=lambda invariant: seen.update({invariant.name: open_snapshots()}))
    family_of = {invariant.name: family.name for family in FAMILIES for invariant in family.invariants}
    assert {name: {family} for name, family in family_of.items()} == {
        name: families for name, families in seen.items() if name != "letters.discarded"
    }
    assert seen["letters.discarded"] == open_snapshots() == set()


def test_the_audit_passes_while_the_shop_moves_on_between_any_two_of_its_looks(shop: Shop, unhurried: None) -> None:
    member = shop.member().pk
    shop.sell("phone", stock=30)
    shop.sell("case", stock=1)
    shop.drain()
    moves = 0

    def move_on(invariant: object) -> None:
        nonlocal moves
        orders = [shop.place(("phone", 1), member_id=member)]
        with suppress(OrderRefused):  # it may be known to be sold out
            orders.append(shop.place(("case", 1), member_id=member))
        shop.cancel(orders[moves % len(orders)])  # its creation is on its way, or yet to be sent
        for _ in range(moves % 7):
            shop.scan()
            if shop.deliveries.waiting:
                shop.deliveries.next().deliver()
        if moves % 3 == 0:
            shop.drain()
        moves += 1

    assert audit(before_each=move_on).broken == []
    assert moves == len(INVARIANTS)


def test_all_offending_rows_are_counted_and_the_first_are_shown(shop: Shop) -> None:
    for number in range(SHOWN + 5):
        shop.sell(f"sku-{number}")
    shop.drain()
    run("inventory", "UPDATE inventory_stockitem SET available = 1")
    ledger = next(result for result in audit().results if result.invariant.name == "stock.ledger")
    assert (len(ledger.rows), ledger.count) == (SHOWN, SHOWN + 5)
    assert ledger.rows[0]["available"] == 1
    assert ledger.rows[0]["moved_available"] is None


def test_waiting_for_rest_ends_when_it_is_quiet_and_tells_what_is_under_way_at_the_limit(shop: Shop) -> None:
    shop.member()
    assert wait_until_at_rest(limit=0) == {"members → orders": 1, "members → readmodel": 1}
    shop.drain()
    assert wait_until_at_rest(limit=0) == {}


def test_the_command_exits_with_one_and_the_offending_rows(shop: Shop) -> None:
    shop.sell("phone", stock=3)
    shop.drain()
    run("inventory", "UPDATE inventory_stockitem SET available = 4")
    out = StringIO()
    with pytest.raises(SystemExit) as exit:
        call_command("audit", stdout=out)
    assert exit.value.code == 1
    assert "sku=phone, available=4, reserved=0, moved_available=3" in out.getvalue()
    assert f"2 of {len(INVARIANTS)} invariants broken" in out.getvalue()


def test_the_command_speaks_json(shop: Shop) -> None:
    shop.sell("phone", stock=3)
    shop.drain()
    out = StringIO()
    call_command("audit", "--json", stdout=out)
    report = json.loads(out.getvalue())
    assert report["ok"] is True
    assert {entry["state"] for entry in report["invariants"]} == {"ok"}


def test_what_is_stopped_is_listed_on_both_sides_and_breaks_nothing(shop: Shop) -> None:
    shop.sell("phone", stock=3)
    shop.drain()
    run("orders", "UPDATE orders_cursor SET stopped = 'bad code' WHERE source = 'catalogue' AND lane = 1")
    run("catalogue", "UPDATE catalogue_subscription SET stopped = 'refused' WHERE consumer = 'inventory' AND lane = 2")
    report = audit()
    assert report.broken == []
    assert [(row["consumer"], row["source"], row["lane"], row["stopped"]) for row in report.stopped] == [
        ("orders", "catalogue", 1, "bad code")
    ]
    assert report.stopped_subscriptions == [
        {"source": "catalogue", "consumer": "inventory", "generation": 1, "lane": 2, "stopped": "refused"}
    ]
    out = StringIO()
    call_command("audit", stdout=out)
    assert "stopped   catalogue's subscription of inventory, lane 2: refused" in out.getvalue()


def test_a_generation_that_is_being_built_confuses_no_invariant(shop: Shop) -> None:
    shop.sell("phone", stock=3)
    shop.drain()
    shop.place(("phone", 1), member_id=shop.member().pk)
    shop.drain()
    before = states(audit())
    run(
        "orders",
        "INSERT INTO orders_subscription (consumer, generation, lane) SELECT 'inventory', 2, generate_series(0, 3)",
    )
    run(
        "inventory",
        "INSERT INTO inventory_cursor (consumer, generation, source, lane, position, outbox, types) "
        "SELECT consumer, 2, source, lane, 7, outbox, '{\"orders.order-created\": 7}' FROM inventory_cursor "
        "WHERE source = 'orders'",
    )
    assert states(audit()) == before
    assert set(before.values()) == {"ok"}


def test_the_batch_of_a_consumer_that_was_removed_is_not_late(shop: Shop) -> None:
    shop.sell("phone", stock=3)
    shop.drain()
    run(
        "catalogue",
        "INSERT INTO catalogue_subscription (consumer, lane, batch, after, through, tries, due_at) "
        "VALUES ('gone', 0, gen_random_uuid(), 0, 1, 1, now() - interval '1 hour')",
    )
    assert audit().broken == []


def test_a_letter_of_a_named_reaction_is_listed(shop: Shop) -> None:
    shop.sell("phone", stock=3)
    shop.drain()
    run(
        "inventory",
        "INSERT INTO inventory_deadletter "
        "(consumer, source, lane, position, type, key, event, error, traceback, attempts) "
        "VALUES ('inventory.fraud', 'orders', 0, 1, 't', 'k', '{}', 'e', '', 1)",
    )
    assert [letter["consumer"] for letter in audit().letters] == ["inventory.fraud"]
