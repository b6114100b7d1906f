"""The allotment of a campaign: counted with the reservation, given back with its release, kept when it is shipped."""

from typing import Any

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from inventory.models import Allotment, Claim, Cursor, DeadLetter, OutboxEvent
from orders import services
from orders.events import AllotmentExhausted, OutOfStock, Short
from orders.models import CampaignTaking, Order
from orders.policies import Wanted
from shop.marketing.models import Campaign
from tests.harness import Shop, in_background


@pytest.fixture
def stocked(shop: Shop) -> Shop:
    shop.sell("phone", stock=50)
    shop.sell("case", stock=50)
    shop.member()
    shop.drain()
    return shop


def sale(shop: Shop, sku: str = "phone", **details: Any) -> Campaign:
    campaign = shop.campaign(sku, **{"limit_per_member": 100, "allotment": 5} | details)
    shop.drain()
    return campaign


def taken() -> dict[str, int]:
    return dict(Allotment.objects.values_list("sku", "taken"))


def test_an_order_beyond_the_allotment_is_cancelled_though_there_is_stock(stocked: Shop) -> None:
    sale(stocked)
    first = stocked.place(("phone", 4))
    stocked.drain()
    second = stocked.place(("phone", 2), ("case", 1))
    stocked.drain()
    assert stocked.order(first).status == "confirmed"
    assert stocked.order(second).reason == AllotmentExhausted(
        sku="phone", lines=(Short(sku="phone", requested=2, available=1),)
    )
    assert (taken(), stocked.stock("phone"), stocked.stock("case")) == ({"phone": 4}, (46, 4), (50, 0))
    assert CampaignTaking.objects.get().taken == 4, "what was refused is given back to the member"
    stocked.place(("phone", 1))
    stocked.drain()
    assert taken() == {"phone": 5}


def test_a_buyer_is_told_which_campaign_has_too_little_left(stocked: Shop) -> None:
    sale(stocked, allotment=1)
    order = stocked.place(("phone", 2))
    stocked.drain()
    assert stocked.order(order).reason.shown() == {
        "code": "allotment_exhausted",
        "detail": "There is not enough left of the campaign.",
        "sku": "phone",
        "lines": ({"sku": "phone", "requested": 2, "available": 1},),
    }


def test_every_short_line_is_named_those_of_stock_first(stocked: Shop) -> None:
    sale(stocked, allotment=1)
    order = stocked.place(("phone", 2), ("case", 51))
    stocked.drain()
    reason = stocked.order(order).reason
    assert isinstance(reason, OutOfStock)
    assert reason.lines == (Short(sku="case", requested=51, available=50),)
    assert [other["code"] for other in reason.shown()["also"]] == ["allotment_exhausted"]


def test_a_cancelled_order_gives_the_allotment_back_once(stocked: Shop) -> None:
    sale(stocked)
    order = stocked.place(("phone", 5))
    stocked.drain()
    stocked.cancel(order)
    stocked.drain()
    assert taken() == {"phone": 0}
    Cursor.objects.update(position=0)  # everything again, by hand
    stocked.time_out()
    stocked.drain()
    assert (taken(), stocked.stock("phone")) == ({"phone": 0}, (50, 0))
    assert not DeadLetter.objects.exists()


def test_what_is_shipped_and_what_comes_back_stays_counted(stocked: Shop) -> None:
    sale(stocked)
    order = stocked.place(("phone", 3))
    stocked.drain()
    services.ship_order(order_id=order.pk, at=timezone.now())
    stocked.drain()
    services.return_goods(order_id=order.pk, lines=[Wanted("phone", 1)], at=timezone.now())
    stocked.drain()
    assert (taken(), stocked.stock("phone")) == ({"phone": 3}, (48, 0))


def test_an_order_that_is_repeated_gets_its_first_answer_and_counts_once(stocked: Shop) -> None:
    sale(stocked)
    kept = stocked.place(("phone", 4))
    stocked.drain()
    refused = stocked.place(("phone", 4))
    stocked.drain()
    Cursor.objects.update(position=0)
    stocked.time_out()
    stocked.drain()
    assert taken() == {"phone": 4}
    answers = OutboxEvent.objects.filter(key=str(refused.pk), type="inventory.inventory-lock-failed")
    assert {str(answer.data["exhausted"]) for answer in answers} == {
        "[{'sku': 'phone', 'available': 1, 'requested': 4}]"
    }
    assert answers.count() == 2
    assert stocked.order(kept).status == "confirmed"


def test_an_order_that_was_cancelled_before_it_was_heard_of_takes_nothing(stocked: Shop) -> None:
    sale(stocked)
    order = stocked.place(("phone", 5))
    stocked.cancel(order)
    stocked.drain()
    assert set(taken().values()) <= {0}
    stocked.place(("phone", 5))
    stocked.drain()
    assert taken() == {"phone": 5}


def test_orders_in_several_lanes_at_once_share_one_allotment(stocked: Shop) -> None:
    sale(stocked)
    orders = [stocked.place(("phone", 1), ("case", 1)) for _ in range(16)]
    stocked.scan("orders")
    batches = stocked.deliveries.take("inventory")
    assert len(batches) > 1
    for worker in [in_background(batch.deliver) for batch in batches]:
        worker.result(timeout=20)
    stocked.drain()
    statuses = [stocked.order(order).status for order in orders]
    assert (statuses.count("confirmed"), statuses.count("cancelled")) == (5, 11)
    assert taken() == {"phone": 5}
    assert not DeadLetter.objects.exists()


def test_the_table_refuses_more_than_the_allotment(stocked: Shop) -> None:
    sale(stocked)
    stocked.place(("phone", 1))
    stocked.drain()
    for value in (6, -1):
        with pytest.raises(IntegrityError, match="inventory_allotment_taken"), transaction.atomic(using="inventory"):
            Allotment.objects.update(taken=value)


def test_orders_without_campaigns_ask_nothing_more(stocked: Shop) -> None:
    stocked.place(("phone", 1))
    stocked.drain()
    assert not Allotment.objects.exists()
    assert Claim.objects.get().exhausted == []
    assert Order.objects.get().status == "confirmed"
