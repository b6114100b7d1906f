"""Stock, the ledger behind it, and what orders hold of it."""

from collections.abc import Sequence
from uuid import UUID, uuid4

import pytest
from django.db import IntegrityError, connections, transaction
from django.db.models import Sum
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from inventory.models import Claim, OutboxEvent, Reservation, StockItem, StockMovement, UnableToTake
from inventory.policies import EFFECTS
from inventory.services import StockRoom, adjust_stock, items_for, receive_stock
from shop.errors import NotFound
from shop.messaging.aggregates import store
from tests.harness import eventually, in_background, waiting_for_locks

pytestmark = pytest.mark.usefixtures("shop")


def receive(sku: str, quantity: int) -> None:
    receive_stock(sku=sku, quantity=quantity, at=timezone.now())


def reserve(*orders: Sequence[tuple[str, int]], ids: Sequence[UUID] = ()) -> list[str]:
    """One batch of orders, each a list of lines, as the consumer applies it; each claim's status."""
    ids = ids or [uuid4() for _ in orders]
    with transaction.atomic(using="inventory"):
        room = StockRoom(orders=ids, skus={sku for lines in orders for sku, _ in lines})
        for order_id, lines in zip(ids, orders, strict=True):
            room.reserve(order_id=order_id, lines=lines, at=timezone.now())
        store(*room.changed())
    statuses = dict(Claim.objects.values_list("order_id", "status"))
    return [statuses[order_id] for order_id in ids]


def release(*ids: UUID) -> None:
    with transaction.atomic(using="inventory"):
        room = StockRoom(orders=ids, skus=())
        for order_id in ids:
            room.release(order_id=order_id, at=timezone.now())
        store(*room.changed())


def stock(sku: str) -> tuple[int, int]:
    item = StockItem.objects.get(pk=sku)
    return item.available, item.reserved


def answers(order_id: UUID) -> list[str]:
    events = OutboxEvent.objects.filter(key=str(order_id)).order_by("position")
    return [event.type.removeprefix("inventory.") for event in events]


def sums(sku: str) -> tuple[int, int]:
    """(available, reserved) by the ledger alone."""
    moved = StockMovement.objects.filter(sku=sku).values_list("kind").annotate(Sum("quantity")).order_by()
    effects = [(EFFECTS[kind][0] * total, EFFECTS[kind][1] * total) for kind, total in moved]
    return sum(available for available, _ in effects), sum(reserved for _, reserved in effects)


# The ledger


def test_stock_is_the_sum_of_its_movements() -> None:
    receive("phone", 10)
    adjust_stock(sku="phone", quantity=-2, note="broken", at=timezone.now())
    first, second = uuid4(), uuid4()
    reserve([("phone", 3)], [("phone", 1)], ids=[first, second])
    release(first)
    assert stock("phone") == sums("phone") == (7, 1)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.tuples(st.sampled_from(["receive", "adjust", "reserve", "release"]), st.integers(-4, 6)), max_size=12)
)
def test_whatever_happens_stock_is_the_sum_of_its_movements_and_never_negative(acts: list[tuple[str, int]]) -> None:
    sku, orders = uuid4().hex, [uuid4()]
    receive(sku, 5)
    for act, number in acts:
        if act == "receive" and number > 0:
            receive(sku, number)
        elif act == "adjust" and number and number + stock(sku)[0] >= 0:
            adjust_stock(sku=sku, quantity=number, note="count", at=timezone.now())
        elif act == "reserve" and number > 0:
            orders.append(uuid4())
            reserve([(sku, number)], ids=[orders[-1]])
        elif act == "release":
            release(orders[number % len(orders)])
        assert stock(sku) == sums(sku)
        assert min(stock(sku)) >= 0
    held = Reservation.objects.filter(sku=sku, claim__status="locked").aggregate(held=Sum("quantity"))["held"]
    assert stock(sku)[1] == (held or 0)


def test_a_movement_says_which_order_caused_it() -> None:
    receive("phone", 1)
    order = uuid4()
    reserve([("phone", 1)], ids=[order])
    assert StockMovement.objects.get(kind="reserved").order_id == order


def test_no_more_can_be_taken_away_than_is_available() -> None:
    receive("phone", 3)
    reserve([("phone", 2)])
    with pytest.raises(UnableToTake, match="Only 1 of phone"):
        adjust_stock(sku="phone", quantity=-2, note="", at=timezone.now())
    assert stock("phone") == (1, 2)


def test_stock_that_was_never_received_cannot_be_adjusted() -> None:
    with pytest.raises(NotFound):
        adjust_stock(sku="phone", quantity=1, note="", at=timezone.now())


@pytest.mark.parametrize("column", ["available", "reserved"])
def test_the_database_itself_refuses_negative_stock(column: str) -> None:
    receive("phone", 3)
    with pytest.raises(IntegrityError), connections["inventory"].cursor() as cursor:
        cursor.execute(f"UPDATE inventory_stockitem SET {column} = -1")


def test_the_database_itself_refuses_to_move_twice_for_one_order() -> None:
    receive("phone", 9)
    order = uuid4()
    reserve([("phone", 1)], ids=[order])
    again = StockMovement(sku="phone", kind="reserved", quantity=1, order_id=order, at=timezone.now())
    with pytest.raises(IntegrityError):
        again.save()


# All lines or nothing


def test_lines_of_one_sku_see_each_other() -> None:
    receive("phone", 3)
    assert reserve([("phone", 2), ("phone", 2)]) == ["failed"]
    assert reserve([("phone", 2), ("phone", 1)]) == ["locked"]
    assert stock("phone") == (0, 3)


def test_orders_of_one_batch_see_each_other_first_come_first_served() -> None:
    receive("phone", 3)
    assert reserve([("phone", 2)], [("phone", 2)], [("phone", 1)]) == ["locked", "failed", "locked"]
    assert stock("phone") == (0, 3)


def test_an_order_that_is_short_of_one_line_holds_nothing() -> None:
    receive("phone", 3)
    assert reserve([("phone", 1), ("case", 1)]) == ["failed"]
    assert stock("phone") == (3, 0)
    assert not Reservation.objects.exists()
    assert OutboxEvent.objects.get(type="inventory.inventory-lock-failed").data["short"] == [
        {"sku": "case", "requested": 1, "available": 0}
    ]


# Claims


def test_a_repeated_order_gets_its_first_answer_whatever_the_stock_is_now() -> None:
    receive("phone", 1)
    served, refused = uuid4(), uuid4()
    reserve([("phone", 1)], [("phone", 1)], ids=[served, refused])
    receive("phone", 5)
    assert reserve([("phone", 1)], [("phone", 1)], ids=[served, refused]) == ["locked", "failed"]
    assert answers(served) == ["inventory-locked"] * 2
    assert answers(refused) == ["inventory-lock-failed"] * 2
    assert stock("phone") == (5, 1)


def test_an_order_that_was_cancelled_before_it_was_heard_of_gets_nothing() -> None:
    receive("phone", 1)
    order = uuid4()
    release(order)
    assert reserve([("phone", 1)], ids=[order]) == ["released"]
    assert answers(order) == []
    assert stock("phone") == (1, 0)


def test_releasing_again_releases_nothing_more() -> None:
    receive("phone", 2)
    order = uuid4()
    reserve([("phone", 1)], ids=[order])
    release(order)
    release(order)
    assert stock("phone") == (2, 0)
    assert StockMovement.objects.filter(kind="released").count() == 1


def test_an_order_that_was_refused_stays_refused_when_it_is_released() -> None:
    receive("phone", 1)
    order = uuid4()
    reserve([("phone", 2)], ids=[order])
    release(order)
    assert stock("phone") == (1, 0)
    assert Claim.objects.get(pk=order).status == "failed"
    assert reserve([("phone", 2)], ids=[order]) == ["failed"], "it gets its first answer again"


def test_a_refusal_that_an_older_release_made_released_is_still_the_answer() -> None:
    receive("phone", 1)
    order = uuid4()
    reserve([("phone", 2)], ids=[order])
    with connections["inventory"].cursor() as cursor:
        cursor.execute("UPDATE inventory_claim SET status = 'released'")
    OutboxEvent.objects.all().delete()
    reserve([("phone", 2)], ids=[order])
    assert Claim.objects.get().outcome == Claim.Status.FAILED
    answer = OutboxEvent.objects.get(key=str(order))
    assert answer.type == "inventory.inventory-lock-failed"
    assert answer.data["short"] == [{"sku": "phone", "requested": 2, "available": 1}]


def test_an_order_that_is_created_and_cancelled_in_one_batch_holds_nothing() -> None:
    receive("phone", 1)
    order, other = uuid4(), uuid4()
    with transaction.atomic(using="inventory"):
        room = StockRoom(orders=[order, other], skus={"phone"})
        room.reserve(order_id=order, lines=[("phone", 1)], at=timezone.now())
        room.release(order_id=order, at=timezone.now())
        room.reserve(order_id=other, lines=[("phone", 1)], at=timezone.now())
        store(*room.changed())
    assert stock("phone") == (0, 1)
    assert Claim.objects.get(pk=order).status == "released"
    assert Claim.objects.get(pk=other).status == "locked"


def test_a_batch_takes_the_statements_of_one_order() -> None:
    receive("phone", 5000)
    reserve([("phone", 1)])

    def statements(count: int) -> int:
        with CaptureQueriesContext(connections["inventory"]) as queries:
            reserve(*([("phone", 1)] for _ in range(count)))
        return len(queries)

    assert statements(1) == statements(500)


# At once


def test_the_last_unit_goes_to_exactly_one_of_many_concurrent_orders() -> None:
    receive("phone", 1)
    buyers = [in_background(lambda: reserve([("phone", 1)])) for _ in range(12)]
    outcomes = [status for buyer in buyers for status in buyer.result(30)]
    assert sorted(outcomes) == ["failed"] * 11 + ["locked"]
    assert stock("phone") == (0, 1)


def test_orders_that_name_two_skus_in_opposite_order_do_not_deadlock() -> None:
    receive("phone", 400)
    receive("case", 400)

    def buy(first: str, second: str) -> None:
        for _ in range(10):
            assert reserve(*([(first, 1), (second, 1)] for _ in range(5))) == ["locked"] * 5

    buyers = [
        in_background(lambda: buy("phone", "case")),
        in_background(lambda: buy("case", "phone")),
        in_background(lambda: buy("phone", "case")),
        in_background(lambda: buy("case", "phone")),
    ]
    for buyer in buyers:
        buyer.result(30)
    assert stock("phone") == stock("case") == (200, 200)


def test_goods_of_new_skus_that_come_in_at_once_make_one_item_each() -> None:
    skus = [f"new-{number}" for number in range(4)]
    arrivals = [
        in_background(lambda order=order: [receive(sku, 1) for sku in order]) for order in (skus, skus[::-1]) * 2
    ]
    for arrival in arrivals:
        arrival.result(30)
    assert [stock(sku) for sku in skus] == [(4, 0)] * 4


def test_items_that_come_to_be_while_one_waits_to_make_others_are_found() -> None:
    """The maker that waited finds what the one before it made, and makes the rest."""
    receive("b", 1)

    def receive_all(*skus: str) -> None:
        with transaction.atomic(using="inventory"):
            items = items_for(skus)
            for item in items.values():
                item.receive(1, note="", at=timezone.now())
            store(*items.values())

    with transaction.atomic(using="inventory"):
        made = items_for(["c"])
        waiting = [in_background(lambda: receive_all("a", "b", "c")), in_background(lambda: receive_all("c", "b", "d"))]
        eventually(lambda: waiting_for_locks("inventory") == 2)
        assert in_background(lambda: receive("b", 1)).result(10) is None, "no item is held while waiting to make one"
        made["c"].receive(1, note="", at=timezone.now())
        store(made["c"])
    for work in waiting:
        work.result(10)
    assert [stock(sku)[0] for sku in "abcd"] == [1, 4, 3, 1]
