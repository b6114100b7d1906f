"""Taking orders in, and deciding them."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db import transaction
from django.utils import timezone

from inventory.events import InventoryLockFailed, Shortage
from orders import services
from orders.events import CancelledByMember, OutOfStock, TimedOut
from orders.models import IdempotencyKey, Order, OrderLine, OutboxEvent, UnableToCancel
from orders.policies import Wanted
from orders.services import KeyReused, MemberInactive, OrderRefused, cancel_order, expire_open_orders
from shop.catalogue.services import change_product
from shop.errors import NotFound
from shop.idempotency import forget_keys
from shop.members.services import change_member
from shop.messaging.producer.outbox import Entry, append
from tests.harness import Shop, in_background


@pytest.fixture
def ready(shop: Shop) -> Shop:
    shop.sell("phone", price=300, stock=5)
    shop.sell("case", price=20, stock=5)
    shop.drain()
    return shop


def lines_of(order: Order) -> list[tuple[str, int, int]]:
    return list(OrderLine.objects.filter(order=order).values_list("sku", "quantity", "price"))


# Intake


def test_an_order_is_stored_with_its_lines_its_key_and_its_event_in_one_go(ready: Shop) -> None:
    order = ready.place(("phone", 2), ("case", 1), key="k")
    assert (order.status, order.total) == ("open", 620)
    assert lines_of(order) == [("phone", 2, 300), ("case", 1, 20)]
    assert IdempotencyKey.objects.get().order_id == order.pk
    assert OutboxEvent.objects.get(key=str(order.pk)).type == "orders.order-created"


def test_lines_of_one_sku_are_merged(ready: Shop) -> None:
    order = ready.place(("phone", 1), ("case", 1), ("phone", 2))
    assert lines_of(order) == [("phone", 3, 300), ("case", 1, 20)]


def test_every_faulty_line_is_named_and_nothing_is_stored(ready: Shop) -> None:
    change_product(sku="case", listed=False)
    ready.drain()
    with pytest.raises(OrderRefused) as refusal:
        ready.place(("phone", 1), ("case", 1), ("unheard-of", 1), key="k")
    named = [(line["sku"], line["code"]) for line in refusal.value.extra["lines"]]
    assert named == [("case", "not_listed"), ("unheard-of", "unknown_product")]
    assert not Order.objects.exists()
    assert not IdempotencyKey.objects.exists()


def test_an_order_keeps_the_price_and_name_of_the_moment_it_was_placed(ready: Shop) -> None:
    order = ready.place(("phone", 1))
    change_product(sku="phone", price=999, name="Dear")
    ready.drain()
    [line] = OrderLine.objects.filter(order=order)
    assert (line.price, line.name) == (300, "Phone")
    assert lines_of(ready.place(("phone", 1))) == [("phone", 1, 999)]


def test_a_member_that_was_deactivated_places_no_new_orders(ready: Shop) -> None:
    member = ready.member()
    ready.drain()
    ready.place(("phone", 1), member_id=member.pk)
    change_member(member_id=member.pk, active=False)
    ready.drain()
    with pytest.raises(MemberInactive):
        ready.place(("phone", 1), member_id=member.pk)
    change_member(member_id=member.pk, active=True)
    ready.drain()
    ready.place(("phone", 1), member_id=member.pk)


def test_intake_needs_the_orders_database_and_nothing_else(ready: Shop, django_assert_num_queries: Any) -> None:
    with (
        django_assert_num_queries(0, using="catalogue"),
        django_assert_num_queries(0, using="inventory"),
        django_assert_num_queries(0, using="default"),
    ):
        ready.deliveries.away = True
        services.place_order(member_id=1, lines=[Wanted("phone", 1)], key=None, at=timezone.now())
        ready.deliveries.away = False


# Idempotency keys


def test_the_same_key_finds_the_same_order(ready: Shop) -> None:
    first = ready.place(("phone", 1), key="k")
    assert ready.place(("phone", 1), key="k") == first
    assert ready.place(("phone", 1), key="other") != first
    assert ready.place(("phone", 1), key="k", member_id=2) != first, "a key is its member's own"
    assert Order.objects.count() == 3


def test_the_same_key_for_another_request_is_refused(ready: Shop) -> None:
    ready.place(("phone", 1), key="k")
    with pytest.raises(KeyReused):
        ready.place(("phone", 2), key="k")
    assert Order.objects.count() == 1


def test_the_same_key_finds_its_order_even_when_the_product_is_gone(ready: Shop) -> None:
    first = ready.place(("phone", 1), key="k")
    change_product(sku="phone", listed=False)
    ready.drain()
    assert ready.place(("phone", 1), key="k") == first


def test_many_requests_with_one_key_at_once_place_one_order(ready: Shop) -> None:
    requests = [in_background(lambda: ready.place(("phone", 1), key="k")) for _ in range(8)]
    assert len({request.result(30).pk for request in requests}) == 1
    assert Order.objects.count() == 1
    assert OutboxEvent.objects.filter(type="orders.order-created").count() == 1


def test_a_key_whose_request_was_refused_is_free(ready: Shop) -> None:
    with pytest.raises(OrderRefused):
        ready.place(("unheard-of", 1), key="k")
    assert ready.place(("phone", 1), key="k").status == "open"


# Deciding


def test_an_order_that_is_not_there_cannot_be_cancelled(ready: Shop) -> None:
    order_id = uuid4()
    with pytest.raises(NotFound, match=str(order_id)):
        cancel_order(order_id=order_id, reason=CancelledByMember(), at=timezone.now())


def test_a_cancelled_order_is_not_cancelled_again(ready: Shop) -> None:
    order = ready.place(("phone", 1))
    ready.cancel(order)
    with pytest.raises(UnableToCancel):
        ready.cancel(order)
    assert OutboxEvent.objects.filter(type="orders.order-cancelled").count() == 1


def test_of_a_confirmation_and_a_cancellation_at_once_both_take_effect_in_turn(ready: Shop) -> None:
    order = ready.place(("phone", 1))
    ready.scan()
    for delivery in ready.deliveries.take("inventory"):
        delivery.deliver()
    racing = [in_background(lambda: ready.cancel(order)), in_background(ready.drain)]
    for work in racing:
        work.result(30)
    ready.drain()
    assert ready.order(order).status == "cancelled"
    assert ready.stock("phone") == (5, 0)


def test_an_answer_that_comes_after_the_cancellation_is_only_noted(ready: Shop) -> None:
    order = ready.place(("phone", 1))
    ready.scan()
    ready.cancel(order)
    ready.drain()
    assert [status for status, _ in ready.order(order).history] == ["open", "cancelled"]
    assert ready.order(order).reason == CancelledByMember()


def test_a_no_that_comes_after_all_cancels_a_confirmed_order(ready: Shop) -> None:
    """The inventory was restored, and there is less now."""
    order = ready.place(("phone", 1))
    ready.drain()
    assert ready.order(order).status == "confirmed"
    short = (Shortage(sku="phone", requested=1, available=0),)
    with transaction.atomic(using="inventory"):
        append(
            "inventory", "inventory", [Entry(str(order.pk), InventoryLockFailed(order_id=order.pk, short=short), {})]
        )
    ready.drain()
    late = ready.order(order)
    assert late.status == "cancelled"
    assert isinstance(late.reason, OutOfStock)
    assert ready.stock("phone") == (5, 0), "and what was held after all is released"


# Time-out


def test_open_orders_are_cancelled_after_the_limit_and_no_earlier(ready: Shop) -> None:
    now = timezone.now()
    order = ready.place(("phone", 1))
    assert expire_open_orders(at=now + timedelta(minutes=14), limit=timedelta(minutes=15)) == 0
    assert expire_open_orders(at=now + timedelta(minutes=16), limit=timedelta(minutes=15)) == 1
    assert ready.order(order).reason == TimedOut()
    assert expire_open_orders(at=now + timedelta(minutes=16), limit=timedelta(minutes=15)) == 0


def test_decided_orders_are_not_swept(ready: Shop) -> None:
    order = ready.place(("phone", 1))
    ready.drain()
    assert expire_open_orders(at=timezone.now() + timedelta(days=1), limit=timedelta(minutes=15)) == 0
    assert ready.order(order).status == "confirmed"


def test_the_sweep_leaves_orders_alone_that_are_being_decided(ready: Shop) -> None:
    busy, late = ready.place(("phone", 1)), ready.place(("case", 1))
    tomorrow = timezone.now() + timedelta(days=1)

    def sweep() -> int:
        return expire_open_orders(at=tomorrow, limit=timedelta(minutes=15))

    with transaction.atomic(using="orders"):
        Order.objects.select_for_update().get(pk=busy.pk)
        assert in_background(sweep).result(10) == 1
    assert ready.order(busy).status == "open"
    assert ready.order(late).status == "cancelled"
    assert sweep() == 1


def test_two_sweeps_at_once_cancel_each_order_once(ready: Shop) -> None:
    for _ in range(10):
        ready.place(("phone", 1))
    tomorrow = timezone.now() + timedelta(days=1)
    sweeps = [in_background(lambda: expire_open_orders(at=tomorrow, limit=timedelta(0))) for _ in range(3)]
    assert sum(sweep.result(30) for sweep in sweeps) == 10
    assert OutboxEvent.objects.filter(type="orders.order-cancelled").count() == 10


def test_a_sweep_of_more_than_one_transaction_cancels_them_all(ready: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services, "SWEEP", 2)
    for _ in range(5):
        ready.place(("phone", 1))
    assert expire_open_orders(at=timezone.now() + timedelta(days=1), limit=timedelta(0)) == 5


def test_an_order_that_timed_out_while_its_reservation_was_on_its_way_holds_nothing(ready: Shop) -> None:
    order = ready.place(("phone", 5))
    ready.scan()
    expire_open_orders(at=timezone.now() + timedelta(days=1), limit=timedelta(0))
    ready.drain()
    assert ready.order(order).reason == TimedOut()
    assert ready.stock("phone") == (5, 0)


def test_a_key_that_is_old_enough_is_forgotten_and_may_be_used_anew(ready: Shop) -> None:
    first = ready.place(("phone", 1), key="k")
    now = timezone.now()
    assert forget_keys(IdempotencyKey, at=now + timedelta(days=29), life=timedelta(days=30)) == 0
    assert ready.place(("phone", 1), key="k").pk == first.pk
    assert forget_keys(IdempotencyKey, at=now + timedelta(days=31), life=timedelta(days=30)) == 1
    assert ready.place(("phone", 1), key="k").pk != first.pk
