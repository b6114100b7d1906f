"""The sold-out gate: what the inventory says of it, and what the orders make of that."""

from typing import Any

import pytest
from django.core.management import call_command
from django.utils import timezone

from inventory.models import OutboxEvent, StockItem
from inventory.services import adjust_stock, receive_stock
from orders.models import Cursor, Order, ProductCopy
from orders.services import OrderRefused
from shop.catalogue.services import change_product
from shop.console.audit import audit
from tests.contexts.api import client_of, is_problem
from tests.harness import Shop

AVAILABILITY = ("inventory.stock-depleted", "inventory.stock-replenished")


def said(sku: str) -> list[str]:
    """What was said of whether anything is left, oldest first."""
    events = OutboxEvent.objects.filter(key=sku, type__in=AVAILABILITY).order_by("position")
    return [event.type.removeprefix("inventory.stock-") for event in events]


def is_closed(sku: str) -> bool:
    return ProductCopy.objects.get(pk=sku).sold_out


@pytest.fixture
def sold(shop: Shop) -> Shop:
    """A shop whose only phone is sold."""
    shop.member()
    shop.sell("phone", stock=1)
    shop.sell("case", stock=5)
    shop.drain()
    shop.place(("phone", 1))
    shop.drain()
    return shop


# What the inventory says


def test_a_new_item_says_nothing_until_goods_arrive(shop: Shop) -> None:
    shop.sell("phone")
    shop.drain()
    assert said("phone") == []
    receive_stock(sku="phone", quantity=2, at=timezone.now())
    receive_stock(sku="phone", quantity=2, at=timezone.now())
    assert said("phone") == ["replenished"]


def test_the_last_unit_that_goes_and_the_first_that_comes_are_said_once(sold: Shop) -> None:
    assert said("phone") == ["replenished", "depleted"]
    receive_stock(sku="phone", quantity=2, at=timezone.now())
    adjust_stock(sku="phone", quantity=-2, note="broken", at=timezone.now())
    assert said("phone") == ["replenished", "depleted"] * 2


def test_an_item_that_is_emptied_and_filled_within_a_transaction_says_nothing(shop: Shop) -> None:
    receive_stock(sku="phone", quantity=1, at=timezone.now())
    item = StockItem.objects.get()
    item.adjust(-1, note="", at=timezone.now())
    item.receive(3, note="", at=timezone.now())
    assert [type(event).__name__ for event in item.recorded] == ["StockChanged"]


def test_what_is_shipped_says_nothing_and_what_comes_back_does(sold: Shop) -> None:
    order = sold.place(("case", 5))
    sold.drain()
    sold.ship(order)
    sold.drain()
    assert said("case") == ["replenished", "depleted"]
    sold.take_back(order, ("case", 1))
    sold.drain()
    assert said("case") == ["replenished", "depleted", "replenished"]


# What the orders make of it


def test_an_order_for_what_is_sold_out_is_refused_at_once_and_every_such_line_named(sold: Shop) -> None:
    sold.place(("case", 5))
    sold.drain()
    with pytest.raises(OrderRefused) as refusal:
        sold.place(("phone", 1), ("case", 1))
    assert [(line["sku"], line["code"]) for line in refusal.value.extra["lines"]] == [
        ("phone", "sold_out"),
        ("case", "sold_out"),
    ]
    assert audit().broken == []


def test_a_refusal_over_http_names_the_product_and_the_way_out(sold: Shop) -> None:
    client = client_of(sold.member("bob"))
    sold.drain()
    answer = client.post("/api/orders/", {"lines": [{"sku": "phone", "quantity": 1}]}, format="json")
    assert is_problem(answer, 422, "order_refused")
    assert answer.json()["lines"] == [
        {
            "sku": "phone",
            "code": "sold_out",
            "detail": "Phone is sold out. Order without it, or try again when it is back in stock.",
        }
    ]


def test_a_key_that_placed_an_order_answers_with_it_though_the_product_is_sold_out_now(sold: Shop) -> None:
    receive_stock(sku="phone", quantity=1, at=timezone.now())
    sold.drain()
    first = sold.place(("phone", 1), key="k")
    sold.drain()
    assert is_closed("phone")
    assert sold.place(("phone", 1), key="k") == first


@pytest.mark.parametrize("way", ["received", "cancelled"])
def test_the_gate_opens_when_there_is_something_again(sold: Shop, way: str) -> None:
    assert is_closed("phone")
    if way == "received":
        receive_stock(sku="phone", quantity=1, at=timezone.now())
    else:
        sold.cancel(Order.objects.get())
    sold.drain()
    assert not is_closed("phone")
    order = sold.place(("phone", 1))
    sold.drain()
    assert sold.order(order).status == "confirmed"


def test_an_order_that_the_gate_lets_through_too_late_is_decided_by_its_reservation(shop: Shop) -> None:
    shop.sell("phone", stock=1)
    shop.drain()
    first, second = shop.place(("phone", 1)), shop.place(("phone", 1))
    shop.drain()
    assert sorted(shop.order(order).status for order in (first, second)) == ["cancelled", "confirmed"]
    assert is_closed("phone")


def test_events_of_one_batch_leave_the_gate_as_the_last_says(shop: Shop) -> None:
    shop.sell("phone", stock=1)
    adjust_stock(sku="phone", quantity=-1, note="", at=timezone.now())
    receive_stock(sku="phone", quantity=1, at=timezone.now())
    adjust_stock(sku="phone", quantity=-1, note="", at=timezone.now())
    shop.scan("catalogue")
    shop.deliveries.run()
    shop.drain()
    assert is_closed("phone")


def test_a_product_that_the_orders_do_not_know_is_no_poison(shop: Shop) -> None:
    receive_stock(sku="ghost", quantity=1, at=timezone.now())
    adjust_stock(sku="ghost", quantity=-1, note="", at=timezone.now())
    shop.drain()
    assert not shop.all_letters()
    assert audit().broken == []


def test_a_product_that_changes_stays_sold_out(sold: Shop) -> None:
    change_product(sku="phone", price=5)
    change_product(sku="phone", listed=False)
    change_product(sku="phone", listed=True)
    sold.drain()
    assert is_closed("phone")


def test_replayed_from_the_beginning_the_gate_is_the_same(sold: Shop, settings: Any) -> None:
    settings.RELAY_EVENTS = 1
    Cursor.objects.filter(consumer="orders.availability").update(position=0)
    sold.time_out()
    sold.drain()
    assert is_closed("phone")
    assert not is_closed("case")


def test_announcing_the_inventory_mends_a_wrong_gate_either_way(sold: Shop) -> None:
    ProductCopy.objects.update(sold_out=False)
    call_command("announce", "inventory")
    sold.drain()
    assert (is_closed("phone"), is_closed("case")) == (True, False)
    ProductCopy.objects.update(sold_out=True)
    assert audit().broken == ["orders.sold_out"]
    call_command("announce", "inventory", "case")
    sold.drain()
    assert (is_closed("phone"), is_closed("case")) == (True, False)
    assert audit().broken == []
