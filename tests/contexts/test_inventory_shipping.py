"""What leaves the stock and what comes back, however often, late or in whatever order it is heard."""

from itertools import permutations, product
from typing import Any
from uuid import UUID, uuid4

import msgspec
import pytest
from django.db import IntegrityError, connections, transaction
from django.db.models import Sum
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from inventory.models import Claim, Cursor, OutboxEvent, Reservation, StockItem, StockMovement
from inventory.policies import EFFECTS
from inventory.services import receive_stock
from inventory.tasks import reserve_stock
from orders.events import Line, OrderCancelled, OrderCreated, OrderEvent, OrderReturned, OrderShipped, Returned
from orders.models import Order, ProductCopy
from shop.console.audit import audit
from shop.messaging import failpoints
from shop.messaging.batches import Batch, cloud_event
from shop.messaging.failpoints import Failpoint
from tests.contexts.api import staff
from tests.harness import Shop


def created(order_id: UUID, *lines: tuple[str, int]) -> OrderCreated:
    priced = tuple(Line(sku=sku, name=sku, category="", price=1, quantity=quantity) for sku, quantity in lines)
    return OrderCreated(order_id=order_id, member_id=1, lines=priced, total=1, currency="CNY", placed_at=timezone.now())


def shipped(order_id: UUID) -> OrderShipped:
    return OrderShipped(order_id=order_id, at=timezone.now())


def returned(order_id: UUID, **totals: int) -> OrderReturned:
    """The event of a return; ``totals`` are of all returns so far."""
    lines = tuple(Returned(sku=sku, quantity=quantity) for sku, quantity in totals.items())
    return OrderReturned(order_id=order_id, lines=lines, refunded=0, at=timezone.now())


def hear(*events: OrderEvent) -> None:
    """Apply events as one batch, as a worker does once the cursor lets it."""
    travelled = [
        cloud_event(
            source="orders",
            position=position,
            type=event.wire_name,
            key=str(event.order_id),
            data=msgspec.to_builtins(event),
            headers={},
            time=timezone.now().isoformat(),
        )
        for position, event in enumerate(events, 1)
    ]
    with transaction.atomic(using="inventory"):
        reserve_stock(Batch(travelled))


@pytest.fixture
def order(shop: Shop) -> UUID:
    """An order that holds two of ten phones."""
    receive_stock(sku="phone", quantity=10, at=timezone.now())
    order_id = uuid4()
    hear(created(order_id, ("phone", 2)))
    return order_id


def test_what_is_shipped_is_neither_available_nor_reserved(shop: Shop, order: UUID) -> None:
    hear(shipped(order))
    assert shop.stock("phone") == (8, 0)
    assert shop.movements("phone") == [("received", 10), ("reserved", 2), ("shipped", 2)]
    assert Claim.objects.get().status == "shipped"


def test_what_comes_back_is_available_and_counted_by_line(shop: Shop, order: UUID) -> None:
    hear(shipped(order), returned(order, phone=1))
    assert shop.stock("phone") == (9, 0)
    hear(returned(order, phone=2))
    assert shop.stock("phone") == (10, 0)
    assert shop.movements("phone")[3:] == [("returned", 1), ("returned", 1)]
    assert Reservation.objects.get().returned == 2


def test_an_order_is_reserved_shipped_and_returned_in_one_batch(shop: Shop) -> None:
    receive_stock(sku="phone", quantity=2, at=timezone.now())
    order_id = uuid4()
    hear(created(order_id, ("phone", 2)), shipped(order_id), returned(order_id, phone=1), returned(order_id, phone=2))
    assert shop.stock("phone") == (2, 0)
    assert Reservation.objects.get().returned == 2


def test_a_return_that_is_older_than_what_is_noted_changes_nothing(shop: Shop, order: UUID) -> None:
    hear(shipped(order), returned(order, phone=2), returned(order, phone=1))
    assert shop.stock("phone") == (10, 0)
    assert Reservation.objects.get().returned == 2


@pytest.mark.parametrize("repeats", [1, 2])
def test_whatever_order_returns_and_shipments_are_heard_in_each_takes_effect_once(shop: Shop, repeats: int) -> None:
    """The shipment comes first, since it does in the lane; all that follows may come in any order and again."""
    expected = (9, 0)
    for number, heard in enumerate(permutations(("ship", "one", "two"))):
        receive_stock(sku=f"phone-{number}", quantity=10, at=timezone.now())
        order_id = uuid4()
        events: dict[str, OrderEvent] = {
            "ship": shipped(order_id),
            "one": returned(order_id, **{f"phone-{number}": 1}),
            "two": returned(order_id, **{f"phone-{number}": 2}),
        }
        hear(created(order_id, (f"phone-{number}", 3)), events["ship"])
        for name, _ in product(heard, range(repeats)):
            hear(events[name])
        assert shop.stock(f"phone-{number}") == expected, heard


@pytest.mark.parametrize("before", ["unknown", "failed", "released"])
def test_what_nothing_is_reserved_for_is_not_shipped_but_logged(
    shop: Shop, before: str, caplog: pytest.LogCaptureFixture
) -> None:
    receive_stock(sku="phone", quantity=1, at=timezone.now())
    order_id = uuid4()
    if before != "unknown":
        hear(created(order_id, ("phone", 1 if before == "released" else 5)))
    if before == "released":
        hear(OrderCancelled(order_id=order_id, reason={}, at=timezone.now()))
    hear(shipped(order_id), returned(order_id, phone=1))
    assert shop.stock("phone") == (1, 0)
    assert [claim.status for claim in Claim.objects.all()] == ([] if before == "unknown" else [before])
    logged = [record.getMessage() for record in caplog.records if record.name == "inventory.services"]
    assert len(logged) == 2
    assert "shipped, though nothing is reserved" in logged[0]
    assert "returned, though nothing was shipped" in logged[1]


def test_a_return_of_what_was_not_shipped_yet_is_logged_and_left(
    shop: Shop, order: UUID, caplog: pytest.LogCaptureFixture
) -> None:
    hear(returned(order, phone=1))
    assert shop.stock("phone") == (8, 2)
    hear(shipped(order), returned(order, case=1))
    assert shop.stock("phone") == (8, 0)
    assert "returned, though it was not reserved" in caplog.text


def test_a_shipped_order_that_is_cancelled_keeps_its_claim(
    shop: Shop, order: UUID, caplog: pytest.LogCaptureFixture
) -> None:
    hear(shipped(order), OrderCancelled(order_id=order, reason={}, at=timezone.now()))
    assert shop.stock("phone") == (8, 0)
    assert Claim.objects.get().status == "shipped"
    assert "cancelled, though it was shipped" in caplog.text


def test_a_shipped_order_that_is_created_again_gets_its_first_answer_again(shop: Shop, order: UUID) -> None:
    hear(shipped(order), created(order, ("phone", 2)))
    assert shop.stock("phone") == (8, 0)
    answers = list(OutboxEvent.objects.filter(key=str(order)).values_list("type", flat=True))
    assert answers == ["inventory.inventory-locked"] * 2


def test_the_database_itself_refuses_to_ship_twice_or_to_take_back_more_than_was_ordered(order: UUID) -> None:
    hear(shipped(order))
    again = StockMovement(sku="phone", kind="shipped", quantity=2, order_id=order, at=timezone.now())
    for broken in (again.save, lambda: run("UPDATE inventory_reservation SET returned = 3")):
        with pytest.raises(IntegrityError):
            broken()
    with pytest.raises(IntegrityError, match="inventory_movement_order"):
        StockMovement(sku="phone", kind="returned", quantity=1, at=timezone.now()).save()


def run(sql: str) -> None:
    with connections["inventory"].cursor() as cursor:
        cursor.execute(sql)


def test_a_worker_of_the_release_before_writes_on_the_migrated_tables(shop: Shop, order: UUID) -> None:
    run(f"INSERT INTO inventory_reservation (claim_id, sku, quantity) VALUES ('{order}', 'case', 1)")
    assert list(Reservation.objects.values_list("returned", flat=True)) == [0, 0]
    with connections["orders"].cursor() as cursor:
        cursor.execute("INSERT INTO orders_productcopy VALUES ('case', 'Case', '', 1, true)")
    assert not ProductCopy.objects.get().sold_out


def test_what_migrations_added_without_a_look_at_the_rows_was_validated(order: UUID) -> None:
    with connections["inventory"].cursor() as cursor:
        cursor.execute(
            "SELECT conname FROM pg_constraint WHERE NOT convalidated AND conname <> 'inventory_movement_size_down'"
        )
        assert cursor.fetchall() == []
        cursor.execute("SELECT indexrelid::regclass::text FROM pg_index WHERE NOT indisvalid")
        assert cursor.fetchall() == []


def test_a_batch_of_shipments_and_returns_takes_the_statements_of_one(shop: Shop) -> None:
    receive_stock(sku="phone", quantity=5000, at=timezone.now())

    def statements(count: int) -> int:
        orders = [uuid4() for _ in range(count)]
        hear(*(created(order_id, ("phone", 1)) for order_id in orders))
        with CaptureQueriesContext(connections["inventory"]) as queries:
            hear(*(shipped(order_id) for order_id in orders), *(returned(order_id, phone=1) for order_id in orders))
        return len(queries)

    assert statements(1) == statements(300)


ACTS = st.lists(
    st.tuples(st.sampled_from(["create", "cancel", "ship", "return", "again"]), st.integers(0, 3), st.integers(1, 3)),
    max_size=25,
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ACTS, st.integers(1, 5))
def test_whatever_is_heard_and_however_it_is_cut_the_stock_is_what_a_simple_model_says(
    shop: Shop, acts: list[tuple[str, int, int]], size: int
) -> None:
    sku, orders = uuid4().hex, [uuid4() for _ in range(4)]
    receive_stock(sku=sku, quantity=5, at=timezone.now())
    available, status, quantity, back = 5, dict.fromkeys(orders, ""), dict.fromkeys(orders, 0), dict.fromkeys(orders, 0)
    events: list[OrderEvent] = []
    for act, which, number in acts:
        order_id = orders[which]
        match act, status[order_id]:
            case "create", "":
                events.append(created(order_id, (sku, number)))
                granted = number <= available
                status[order_id], quantity[order_id] = ("locked", number) if granted else ("failed", 0)
                available -= quantity[order_id]
            case "cancel", "locked" | "":
                events.append(OrderCancelled(order_id=order_id, reason={}, at=timezone.now()))
                status[order_id], available = "released", available + quantity[order_id]
            case "ship", "locked":
                events.append(shipped(order_id))
                status[order_id] = "shipped"
            case "return", "shipped":
                more = min(number, quantity[order_id] - back[order_id])
                back[order_id] += more
                available += more
                events.append(returned(order_id, **{sku: back[order_id]}))
            case "again", _ if events:
                events.append(events[number % len(events)])
    for start in range(0, len(events), size):
        hear(*events[start : start + size])
    item = StockItem.objects.get(pk=sku)
    held = sum(quantity[order_id] for order_id in orders if status[order_id] == "locked")
    assert (item.available, item.reserved) == (available, held)
    moved = StockMovement.objects.filter(sku=sku).values_list("kind").annotate(Sum("quantity")).order_by()
    assert available == sum(EFFECTS[kind][0] * total for kind, total in moved)
    assert held == sum(EFFECTS[kind][1] * total for kind, total in moved)


# The whole way


@pytest.fixture
def confirmed(shop: Shop) -> Order:
    shop.sell("phone", stock=3)
    shop.sell("case", stock=3)
    shop.drain()
    order = shop.place(("phone", 2), ("case", 1), member_id=shop.member().pk)
    shop.drain()
    return order


def test_an_order_that_is_shipped_and_comes_back_balances_everywhere(shop: Shop, confirmed: Order) -> None:
    shop.ship(confirmed)
    shop.take_back(confirmed, ("phone", 1))
    shop.drain()
    shop.take_back(confirmed, ("phone", 1), ("case", 1))
    shop.drain()
    assert (shop.stock("phone"), shop.stock("case")) == ((3, 0), (3, 0))
    assert audit().broken == []


def test_a_cursor_that_is_set_back_ships_and_restocks_nothing_again(shop: Shop, confirmed: Order) -> None:
    shop.ship(confirmed)
    shop.take_back(confirmed, ("phone", 1))
    shop.drain()
    shop.take_back(confirmed, ("phone", 1))
    shop.drain()
    before = (shop.stock("phone"), shop.movements("phone"), shop.stock("case"))
    Cursor.objects.update(position=0)
    shop.time_out()
    shop.drain()
    assert (shop.stock("phone"), shop.movements("phone"), shop.stock("case")) == before
    assert not shop.all_letters()
    assert audit().broken == []


@pytest.mark.parametrize("step", [Failpoint.ATTEMPT_RECORDED, Failpoint.APPENDED, Failpoint.PIECE_COMMITTED])
def test_a_worker_that_dies_while_goods_leave_or_come_back_leaves_nothing_half_done(
    shop: Shop, confirmed: Order, step: Failpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.ship(confirmed)
    shop.take_back(confirmed, ("phone", 2))
    shop.scan("orders")

    def die(reached: Any) -> None:
        if reached == step:
            raise KeyboardInterrupt

    for delivery in shop.deliveries.take("inventory"):
        with monkeypatch.context() as dying, pytest.raises(KeyboardInterrupt) if delivery.kwargs["events"] else dying:
            dying.setattr(failpoints, "at_each_failpoint", die)
            delivery.deliver()
    shop.time_out()
    shop.drain()
    assert (shop.stock("phone"), shop.stock("case")) == ((3, 0), (2, 0))
    assert audit().broken == []


def test_staff_sees_the_new_movements_by_kind(shop: Shop, confirmed: Order) -> None:
    shop.ship(confirmed)
    shop.take_back(confirmed, ("phone", 1))
    shop.drain()
    client = staff("stock")
    for kind, quantity in (("shipped", 2), ("returned", 1)):
        (move,) = client.get(f"/api/inventory/stock/phone/movements/?kind={kind}").json()["results"]
        assert (move["kind"], move["quantity"], move["order_id"]) == (kind, quantity, str(confirmed.pk))
