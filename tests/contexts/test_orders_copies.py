"""What orders know of products and members: copies that follow the events, replayed or not."""

from typing import Any

import pytest

from orders.models import Cursor, DeadLetter, MemberCopy, ProductCopy
from shop.catalogue.services import change_product
from shop.members.services import change_member
from tests.harness import Shop


def products() -> list[Any]:
    return list(ProductCopy.objects.values())


@pytest.fixture
def changed(shop: Shop) -> Shop:
    """A product and a member with some history, all of it copied."""
    shop.sell("phone", price=300)
    shop.drain()
    change_product(sku="phone", price=250, listed=False)
    change_product(sku="phone", name="Telephone", listed=True)
    change_product(sku="phone", category="calls", listed=False)
    member = shop.member()
    change_member(member_id=member.pk, active=False)
    shop.drain()
    return shop


def test_a_copy_has_the_fields_that_pricing_needs(changed: Shop) -> None:
    named = {"sku": "phone", "name": "Telephone", "category": "calls"}
    assert products() == [named | {"price": 250, "listed": False, "sold_out": False}]
    assert not MemberCopy.objects.get().active


def test_events_of_one_batch_are_applied_in_order(shop: Shop) -> None:
    shop.sell("phone")
    change_product(sku="phone", listed=False)
    change_product(sku="phone", price=5)
    change_product(sku="phone", listed=True)
    shop.drain()
    assert [(copy["price"], copy["listed"]) for copy in products()] == [(5, True)]


def test_listing_a_product_whose_addition_was_discarded_is_no_poison(changed: Shop) -> None:
    ProductCopy.objects.all().delete()
    change_product(sku="phone", listed=True)
    change_product(sku="phone", listed=False)
    changed.drain()
    assert not DeadLetter.objects.exists()
    assert products() == []


def test_replayed_from_the_beginning_the_copies_are_the_same(changed: Shop) -> None:
    before = products()
    Cursor.objects.update(position=0)
    changed.time_out()
    changed.drain()
    assert products() == before
    assert not MemberCopy.objects.get().active


def test_replayed_one_by_one_the_copies_are_the_same(changed: Shop, settings: Any) -> None:
    settings.RELAY_EVENTS = 1
    before = products()
    Cursor.objects.update(position=0)
    changed.time_out()
    changed.drain()
    assert products() == before


def test_a_batch_that_overtakes_another_is_held_up_until_its_turn(shop: Shop, settings: Any) -> None:
    settings.RELAY_EVENTS = 1
    shop.sell("phone", price=300)
    change_product(sku="phone", price=200)
    shop.scan()
    [first] = [d for d in shop.deliveries.take("orders", source="catalogue") if d.kwargs["events"]]
    first.deliver()
    for acknowledgement in shop.deliveries.take("catalogue.relay", consumer="orders"):
        acknowledgement.deliver()
    [second] = [d for d in shop.deliveries.take("orders", source="catalogue") if d.kwargs["events"]]
    Cursor.objects.update(position=0)
    ProductCopy.objects.all().delete()
    second.deliver()
    assert products() == [], "the first is missing"
    shop.drain()
    assert [copy["price"] for copy in products()] == [200]
