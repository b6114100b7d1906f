"""The read model: orders with their members' and products' names, however their events come."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import connections

from orders.models import Subscription
from readmodel.models import Cursor, DeadLetter, OrderView
from readmodel.queries import fresh_at
from shop.members.services import change_member
from tests.harness import Shop


@pytest.fixture
def ready(shop: Shop) -> Shop:
    shop.sell("phone", price=300, stock=3)
    shop.drain()
    return shop


def deliver(shop: Shop, source: str) -> None:
    """Relay, and bring the read model what one source says; the rest waits."""
    shop.scan()
    for delivery in shop.deliveries.take("readmodel", source=source):
        delivery.deliver()


def replay(shop: Shop) -> None:
    Cursor.objects.update(position=0)
    shop.time_out()
    shop.drain()


def test_an_order_is_shown_with_its_member_s_and_its_products_names(ready: Shop) -> None:
    member = ready.member("ada")
    order = ready.place(("phone", 2), member_id=member.pk)
    ready.drain()
    view = ready.view(order)
    assert (view.member_name, view.status, view.total) == ("Ada", "confirmed", 600)
    assert view.lines == [{"sku": "phone", "name": "Phone", "quantity": 2, "price": 300}]
    assert [entry["status"] for entry in view.history] == ["open", "confirmed"]
    assert view.decided_at == ready.order(order).decided_at


@pytest.mark.parametrize("first", ["members", "orders"])
def test_a_name_may_come_before_or_after_the_order_that_shows_it(ready: Shop, first: str) -> None:
    member = ready.member("ada")
    order = ready.place(("phone", 1), member_id=member.pk)
    deliver(ready, first)
    ready.drain()
    assert ready.view(order).member_name == "Ada"


def test_an_order_is_shown_before_its_member_is_known(ready: Shop) -> None:
    member = ready.member("ada")
    order = ready.place(("phone", 1), member_id=member.pk)
    deliver(ready, "orders")
    assert ready.view(order).member_name == ""


def test_a_member_s_new_name_is_shown_beside_old_orders(ready: Shop) -> None:
    member = ready.member("ada")
    order = ready.place(("phone", 1), member_id=member.pk)
    ready.drain()
    change_member(member_id=member.pk, name="Countess")
    ready.drain()
    assert ready.view(order).member_name == "Countess"


def test_news_of_a_member_leave_orders_alone_that_show_its_name_already(ready: Shop) -> None:
    def versions() -> list[Any]:
        with connections["readmodel"].cursor() as cursor:
            cursor.execute("SELECT member_name, xmin FROM readmodel_orderview")
            return list(cursor.fetchall())

    member = ready.member("ada")
    ready.place(("phone", 1), member_id=member.pk)
    ready.drain()
    before = versions()
    change_member(member_id=member.pk, active=False)
    ready.drain()
    assert versions() == before
    assert before[0][0] == "Ada"


def test_what_comes_of_an_order_whose_creation_was_discarded_is_no_poison(ready: Shop) -> None:
    order = ready.place(("phone", 1))
    ready.drain()
    OrderView.objects.all().delete()
    ready.cancel(order)
    ready.drain()
    assert not DeadLetter.objects.exists()
    assert not OrderView.objects.exists()


def test_a_cancelled_order_says_why(ready: Shop) -> None:
    order = ready.place(("phone", 9))
    ready.drain()
    view = ready.view(order)
    assert view.status == "cancelled"
    assert view.reason["code"] == "out_of_stock"
    assert view.reason["lines"] == [{"sku": "phone", "requested": 9, "available": 3}]


def test_an_order_that_was_confirmed_and_then_cancelled_shows_both(ready: Shop) -> None:
    order = ready.place(("phone", 1))
    ready.drain()
    ready.cancel(order)
    ready.drain()
    view = ready.view(order)
    assert [entry["status"] for entry in view.history] == ["open", "confirmed", "cancelled"]
    assert (view.status, view.reason["code"]) == ("cancelled", "cancelled_by_member")
    assert view.decided_at == ready.order(order).confirmed_at, "decided is decided, at the first time"


@pytest.mark.parametrize("size", [1, 1000])
def test_a_replay_from_the_beginning_changes_nothing(ready: Shop, settings: Any, size: int) -> None:
    settings.RELAY_EVENTS = size
    member = ready.member("ada")
    for quantity in (1, 9, 2):
        ready.place(("phone", quantity), member_id=member.pk)
    ready.drain()
    ready.cancel(ready.order(OrderView.objects.filter(status="confirmed").earliest("pk")))
    ready.drain()
    before = list(OrderView.objects.order_by("pk").values())
    replay(ready)
    assert list(OrderView.objects.order_by("pk").values()) == before


def test_a_replay_brings_an_order_that_was_shown_open_to_its_end(ready: Shop) -> None:
    """Its creation, which the view shows, and its decision, which it does not, come in one batch."""
    order = ready.place(("phone", 1))
    deliver(ready, "orders")
    assert ready.view(order).status == "open"
    ready.deliveries.take("orders.relay", consumer="readmodel")  # not acknowledged: the batch stays in flight
    ready.drain()
    Cursor.objects.update(position=0)
    Subscription.objects.filter(consumer="readmodel").update(acknowledged=0, scanned=0, batch=None, tries=0)
    ready.drain()
    assert ready.view(order).status == "confirmed"


# How fresh it is


def test_it_is_fresh_only_when_every_lane_of_every_source_was_heard(shop: Shop) -> None:
    Cursor.objects.all().delete()
    shop.time_out("members", "orders")
    assert fresh_at() is None
    shop.member()
    shop.scan("members", "orders")
    batches = shop.deliveries.take("readmodel")
    for batch in batches[:-1]:
        batch.deliver()
        assert fresh_at() is None, "a lane that was not heard yet may hold anything"
    batches[-1].deliver()
    assert fresh_at() == min(cursor.fresh_at for cursor in Cursor.objects.all())


def test_a_consumer_that_is_gone_and_a_generation_that_is_being_built_do_not_age_it(shop: Shop) -> None:
    shop.member()
    shop.drain()
    before = fresh_at()
    assert before is not None
    Cursor.objects.create(consumer="readmodel.gone", source="orders", lane=0)
    Cursor.objects.create(consumer="readmodel", source="orders", lane=0, generation=2)
    Cursor.objects.create(consumer="readmodel", source="closed", lane=0, fresh_at=before - timedelta(days=1))
    assert fresh_at() == before
