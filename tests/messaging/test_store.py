"""``store`` is the one way to write an aggregate, and writes its events with it."""

from typing import Any
from uuid import uuid4

import pytest
from django.db import DataError, connections, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from inventory.models import Claim, OutboxEvent, Reservation, StockItem, StockMovement
from orders.models import Order
from shop.catalogue.models import Product
from shop.messaging.aggregates import UnableToStore, store
from shop.setwise.rows import RowsVanished
from tests.harness import Shop

pytestmark = pytest.mark.usefixtures("shop")  # and its databases


def received(sku: str, quantity: int = 5) -> StockItem:
    item = StockItem.open(sku=sku)
    item.receive(quantity, note="", at=timezone.now())
    return item


def stored(*aggregates: Any) -> None:
    with transaction.atomic(using="inventory"):
        store(*aggregates)


def rolled_back(*aggregates: Any) -> None:
    """Store them in a transaction, or savepoint, that then fails."""

    def fail() -> None:
        with transaction.atomic(using="inventory"):
            store(*aggregates)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()


def published() -> list[tuple[str, str]]:
    return list(OutboxEvent.objects.order_by("position").values_list("key", "type"))


def news_of(sku: str) -> list[tuple[str, str]]:
    """What is published of an item that was received."""
    return [(sku, "inventory.stock-changed"), (sku, "inventory.stock-replenished")]


def test_an_aggregate_is_stored_with_its_rows_and_its_events() -> None:
    stored(received("phone"))
    assert StockItem.objects.get().available == 5
    assert StockMovement.objects.get().quantity == 5
    assert published() == news_of("phone")


def test_store_refuses_outside_a_transaction() -> None:
    with pytest.raises(UnableToStore, match="needs a transaction"):
        store(received("phone"))


def test_store_refuses_a_second_time_in_one_transaction() -> None:
    with transaction.atomic(using="inventory"):
        store(received("phone"))
        with pytest.raises(UnableToStore, match="once in a transaction"):
            store(received("case"))
    assert published() == news_of("phone")


def test_store_refuses_a_second_time_in_a_savepoint() -> None:
    with transaction.atomic(using="inventory"):
        store(received("phone"))
        with pytest.raises(UnableToStore, match="once in a transaction"):
            stored(received("case"))


def test_store_refuses_aggregates_of_two_databases() -> None:
    product = Product.add(sku="phone", name="Phone", price=1)
    with (
        pytest.raises(UnableToStore, match="one database"),
        transaction.atomic(using="inventory"),
        transaction.atomic(using="catalogue"),
    ):
        store(received("phone"), product)


def test_storing_nothing_is_nothing() -> None:
    store()


WRITES = {
    "save": lambda: StockItem.objects.get().save(),
    "save some fields": lambda: StockItem.objects.get().save(update_fields=["available"]),
    "save a new one": lambda: StockItem(sku="case").save(),
    "delete": lambda: StockItem.objects.get().delete(),
    "create": lambda: StockItem.objects.create(sku="case"),
    "get_or_create": lambda: StockItem.objects.get_or_create(sku="case"),
    "update_or_create": lambda: StockItem.objects.update_or_create(sku="case"),
    "bulk_create": lambda: StockItem.objects.bulk_create([StockItem(sku="case")]),
    "bulk_update": lambda: StockItem.objects.bulk_update([StockItem.objects.get()], ["available"]),
    "update all": lambda: StockItem.objects.update(available=9),
    "update some": lambda: StockItem.objects.filter(sku="phone").update(available=9),
    "delete all": lambda: StockItem.objects.all().delete(),
    "delete some": lambda: StockItem.objects.filter(sku="phone").delete(),
}


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES.keys())
def test_an_aggregate_cannot_be_written_past_its_events(write: Any) -> None:
    stored(received("phone"))
    with pytest.raises(UnableToStore):
        write()
    assert list(StockItem.objects.values_list("sku", "available")) == [("phone", 5)]


def test_a_rollback_publishes_nothing() -> None:
    rolled_back(received("phone"))
    assert not published()
    assert not StockItem.objects.exists()


def test_after_a_rolled_back_savepoint_the_transaction_may_store_again() -> None:
    with transaction.atomic(using="inventory"):
        rolled_back(received("phone"))
        store(received("case"))
    assert published() == news_of("case")


def test_an_aggregate_whose_transaction_was_rolled_back_is_stored_again_with_its_events() -> None:
    """Or a retry with the object in hand would write the row, and publish nothing."""
    new = received("phone")
    for _ in range(2):
        rolled_back(new)
    stored(new)
    assert published() == news_of("phone")
    changed = StockItem.objects.get()
    changed.receive(2, note="", at=timezone.now())
    rolled_back(changed)
    stored(changed)
    assert len(published()) == 3
    assert StockMovement.objects.count() == 2


def test_an_event_is_published_once_however_often_the_aggregate_is_stored() -> None:
    item = received("phone")
    stored(item)
    stored(item)
    item.receive(1, note="", at=timezone.now())
    stored(item)
    assert len(published()) == 3
    assert StockItem.objects.get().available == 6


def test_rows_that_an_aggregate_owns_are_inserted_or_updated_each_once() -> None:
    stored(received("phone"))
    order = uuid4()
    reservation = Reservation(claim_id=order, sku="phone", quantity=3)
    stored(Claim.lock(order_id=order, reservations=[reservation], at=timezone.now()))
    claim, reservation = Claim.objects.get(), Reservation.objects.get()
    claim.ship()
    assert [claim.take_back(reservation, total=total) for total in (1, 3, 2)] == [1, 2, 0]
    stored(claim)
    assert Reservation.objects.get().returned == 3


def test_a_row_that_vanished_is_not_passed_over() -> None:
    stored(received("phone"))
    item = StockItem.objects.get()
    with connections["inventory"].cursor() as cursor:
        cursor.execute("DELETE FROM inventory_stockitem")
    item.receive(1, note="", at=timezone.now())
    with pytest.raises(RowsVanished):
        stored(item)
    assert published() == news_of("phone")


def test_text_that_is_too_long_for_its_column_is_refused_and_not_cut() -> None:
    item = StockItem.open(sku="phone")
    item.receive(1, note="x" * 201, at=timezone.now())
    with pytest.raises(DataError, match="too long"):
        stored(item)
    assert not StockMovement.objects.exists()


@pytest.mark.parametrize("change", [False, True], ids=["new", "changed"])
def test_storing_a_thousand_aggregates_takes_the_statements_of_ten(change: bool) -> None:
    def statements(count: int) -> int:
        items = [received(f"{count}-{number}") for number in range(count)]
        if change:
            stored(*items)
            for item in items:
                item.receive(1, note="", at=timezone.now())
        with CaptureQueriesContext(connections["inventory"]) as queries:
            stored(*items)
        return len(queries)

    statements(1)  # counts the lanes, once
    assert statements(10) == statements(1000) <= 6


def test_events_are_appended_in_the_order_in_which_they_were_recorded() -> None:
    claims = [Claim.fail(order_id=uuid4(), short=(), at=timezone.now()) for _ in range(5)]
    for claim in claims:
        claim.answer()
    stored(*claims)
    for claim in claims:
        keys = [key for key, _ in published()]
        assert keys.count(claim.key) == 2
    assert [key for key, _ in published()] == [claim.key for claim in claims for _ in range(2)]


def test_only_mutable_fields_are_written_to_a_stored_aggregate(shop: Shop) -> None:
    shop.member()
    shop.sell("phone", stock=1)
    shop.drain()
    order = shop.order(shop.place(("phone", 1)))
    order.total, order.member_id = 1, 999
    for participant in order.participants:
        order.agree(participant, at=timezone.now())
    with transaction.atomic(using="orders"):
        store(order)
    again = Order.objects.get(pk=order.pk)
    assert (again.status, again.total, again.member_id) == ("confirmed", 100, 1)
