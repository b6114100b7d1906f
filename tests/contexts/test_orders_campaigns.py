"""Orders and campaigns: a sale's price to the second, each member's limit, and the total that was expected."""

import hashlib
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import IntegrityError, connections, transaction
from django.utils import timezone

from orders import services
from orders.events import CancelledByMember
from orders.models import CampaignCopy, CampaignTaking, Cursor, DeadLetter, IdempotencyKey, Order, OutboxEvent
from orders.policies import Wanted
from orders.services import OrderRefused, PriceChanged
from shop.catalogue.services import change_product
from shop.idempotency import KeyReused
from shop.marketing.models import Campaign
from shop.marketing.services import change_campaign, end_campaign
from tests.contexts.api import client_of, is_problem, paths
from tests.harness import Shop, eventually, in_background, name_participants, waiting_for_locks

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
TICK = timedelta(microseconds=1)


@pytest.fixture
def stocked(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> Shop:
    """A shop that sells phones at 100, and cases, to whoever comes: only stock decides."""
    name_participants(monkeypatch, "inventory")
    shop.sell("phone", stock=50)
    shop.sell("case", stock=50)
    shop.member()
    shop.drain()
    return shop


def sale(shop: Shop, sku: str = "phone", **details: Any) -> Campaign:
    campaign = shop.campaign(sku, **details)
    shop.drain()
    return campaign


def placed(*lines: tuple[str, int], at: datetime | None = None, member_id: int = 1, **more: Any) -> Order:
    wanted = [Wanted(*line) for line in lines]
    return services.place_order(member_id=member_id, lines=wanted, key=None, at=at, **more)[0]


def taken() -> dict[int, int]:
    return dict(CampaignTaking.objects.values_list("member_id", "taken"))


# --- The price ---


def test_a_sale_starts_and_ends_to_the_second_by_the_orders_clock(stocked: Shop) -> None:
    sale(stocked, at=NOON, starts_at=NOON, ends_at=NOON + timedelta(seconds=1), limit_per_member=9)
    moments = (NOON - TICK, NOON, NOON + timedelta(seconds=1) - TICK, NOON + timedelta(seconds=1))
    assert [placed(("phone", 1), at=at).total for at in moments] == [100, 50, 50, 100]


def test_without_a_given_time_the_databases_clock_counts(stocked: Shop) -> None:
    sale(stocked)
    assert placed(("phone", 1), ("case", 1)).total == 150


def test_a_line_says_in_which_campaign_it_was_sold_and_others_say_nothing(stocked: Shop) -> None:
    campaign = sale(stocked)
    order = placed(("phone", 2), ("case", 1))
    data = OutboxEvent.objects.filter(key=order.key).get().data["lines"]
    assert data[0]["campaign"] == {"id": str(campaign.pk), "allotment": 5}
    assert "campaign" not in data[1]
    assert Order.objects.get(pk=order.pk).snapshot == order.snapshot


@pytest.mark.parametrize("stop", ["suspended", "ended"])
def test_a_campaign_that_does_not_run_prices_nothing(stocked: Shop, stop: str) -> None:
    campaign = sale(stocked)
    if stop == "ended":
        end_campaign(campaign_id=campaign.pk, at=timezone.now())
    else:
        change_product(sku="phone", listed=False)
        stocked.drain()
        change_product(sku="phone", listed=True)
        stocked.drain()
        assert placed(("phone", 1)).total == 50, "it is resumed"
        CampaignCopy.objects.update(state="suspended")
    stocked.drain()
    assert placed(("phone", 1)).total == 100
    assert stop in CampaignCopy.objects.values_list("state", flat=True)


def test_intake_asks_the_database_no_more_than_without_campaigns(stocked: Shop) -> None:
    def asked(work: Callable[[], Any]) -> int:
        count = 0

        def counted(execute: Any, *args: Any) -> Any:
            nonlocal count
            count += 1
            return execute(*args)

        with connections["orders"].execute_wrapper(counted):
            work()
        return count

    placed(("phone", 1))
    before = asked(lambda: placed(("phone", 1)))
    sale(stocked)
    assert asked(lambda: placed(("case", 1))) == before
    assert asked(lambda: placed(("phone", 1))) == before + 1, "the limit is counted"


# --- The limit ---


def test_a_member_buys_no_more_than_the_limit_and_is_told_what_is_left(stocked: Shop) -> None:
    sale(stocked, limit_per_member=3)
    placed(("phone", 2))
    with pytest.raises(OrderRefused) as refused:
        placed(("phone", 2), ("lamp", 1), ("case", 1))
    lines = {line["sku"]: line for line in refused.value.extra["lines"]}
    assert {sku: line["code"] for sku, line in lines.items()} == {"lamp": "unknown_product", "phone": "campaign_limit"}
    assert (lines["phone"]["limit"], lines["phone"]["taken"]) == (3, 2)
    assert "order at most 1" in lines["phone"]["detail"]
    assert taken() == {1: 2}
    placed(("phone", 1))
    with pytest.raises(OrderRefused, match="1 of 1 lines") as refused:
        placed(("phone", 1))
    assert "when the sale is over" in refused.value.extra["lines"][0]["detail"]
    assert placed(("phone", 3), member_id=2).total == 150, "each member has a limit of its own"


def test_a_first_order_beyond_the_limit_is_refused_too(stocked: Shop) -> None:
    sale(stocked, limit_per_member=3)
    with pytest.raises(OrderRefused):
        placed(("phone", 4))
    assert taken() == {}


def test_of_two_sales_in_one_order_either_both_are_counted_or_none(stocked: Shop) -> None:
    sale(stocked, limit_per_member=3)
    sale(stocked, "case", limit_per_member=1)
    with pytest.raises(OrderRefused):
        placed(("phone", 1), ("case", 2))
    assert taken() == {}
    assert placed(("phone", 1), ("case", 1)).total == 100


def test_concurrent_orders_of_one_member_hold_the_limit(stocked: Shop) -> None:
    campaign = sale(stocked, limit_per_member=3)
    CampaignTaking.objects.create(campaign_id=campaign.pk, member_id=1, taken=0, allowed=3)
    with transaction.atomic(using="orders"):  # all of them wait for the row, and then count one after the other
        CampaignTaking.objects.select_for_update().get()
        orders = [in_background(lambda: placed(("phone", 1))) for _ in range(8)]
        eventually(lambda: waiting_for_locks("orders") >= 8)
    outcomes = [order.exception(timeout=20) for order in orders]
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["NoneType"] * 3 + ["OrderRefused"] * 5
    assert taken() == {1: 3}
    assert Order.objects.filter(total=50).count() == 3


def test_concurrent_first_orders_of_one_member_hold_the_limit(stocked: Shop) -> None:
    sale(stocked, limit_per_member=2)
    orders = [in_background(lambda: placed(("phone", 1))) for _ in range(8)]
    outcomes = [order.exception(timeout=20) for order in orders]
    assert [type(outcome).__name__ for outcome in outcomes].count("NoneType") == 2
    assert taken() == {1: 2}


def test_the_table_refuses_more_than_the_limit(stocked: Shop) -> None:
    sale(stocked)
    placed(("phone", 1))
    for value in (3, -1):
        with (
            pytest.raises(IntegrityError, match="orders_campaigntaking"),
            transaction.atomic(using="orders"),
        ):
            CampaignTaking.objects.update(taken=value)


# --- Given back ---


def test_a_cancelled_order_gives_back_what_it_took_once(stocked: Shop) -> None:
    sale(stocked, limit_per_member=2)
    order = placed(("phone", 2))
    services.cancel_order(order_id=order.pk, reason=CancelledByMember(), at=timezone.now())
    assert taken() == {1: 0}
    with pytest.raises(services.DomainError):
        services.cancel_order(order_id=order.pk, reason=CancelledByMember(), at=timezone.now())
    assert taken() == {1: 0}
    placed(("phone", 2))


@pytest.mark.parametrize("way", ["expired", "out of stock"])
def test_whatever_cancels_an_order_gives_it_back(stocked: Shop, way: str) -> None:
    sale(stocked, limit_per_member=60, allotment=60)
    order = placed(("phone", 60 if way == "out of stock" else 1), ("case", 1))
    if way == "expired":
        services.expire_open_orders(at=timezone.now() + timedelta(hours=1), limit=timedelta(minutes=1))
    stocked.drain()
    assert stocked.order(order).status == "cancelled"
    assert taken() == {1: 0}
    Cursor.objects.update(position=0)  # every answer again, by hand
    stocked.time_out()
    stocked.drain()
    assert taken() == {1: 0}
    assert not DeadLetter.objects.exists()


def test_a_batch_of_cancellations_gives_back_to_each_member(stocked: Shop) -> None:
    sale(stocked, limit_per_member=60, allotment=1000)
    for member_id in (1, 2, 3, 2):
        placed(("phone", 20), member_id=member_id)
    stocked.drain()
    confirmed = Order.objects.filter(status="confirmed")
    assert len(confirmed) == 2
    held = dict.fromkeys((1, 2, 3), 0)
    for order in confirmed:
        held[order.member_id] += 20
    assert taken() == held


def test_what_was_shipped_and_came_back_stays_counted(stocked: Shop) -> None:
    sale(stocked)
    order = placed(("phone", 2))
    stocked.drain()
    services.ship_order(order_id=order.pk, at=timezone.now())
    services.return_goods(order_id=order.pk, lines=[Wanted("phone", 1)], at=timezone.now())
    assert taken() == {1: 2}


# --- The expected total ---


def test_another_total_than_expected_is_refused_with_what_it_is_now(stocked: Shop) -> None:
    sale(stocked)
    with pytest.raises(PriceChanged) as refused:
        placed(("phone", 1), expected_total=100)
    assert refused.value.extra == {
        "lines": [{"sku": "phone", "name": "Phone", "quantity": 1, "price": 50}], "total": 50, "currency": "CNY"
    }  # fmt: skip
    assert taken() == {}
    assert placed(("phone", 1), expected_total=50).total == 50


def test_the_expected_total_is_part_of_what_a_key_stands_for(stocked: Shop) -> None:
    def place(total: int | None) -> Order:
        return services.place_order(member_id=1, lines=[Wanted("case", 1)], key="k", expected_total=total)[0]

    first = place(None)
    assert IdempotencyKey.objects.get().fingerprint == hashlib.sha256(json.dumps([["case", 1]]).encode()).hexdigest()
    assert place(None) == first
    with pytest.raises(KeyReused):
        place(100)


def test_over_http_the_total_and_the_limit_are_problems_that_say_the_way_out(stocked: Shop) -> None:
    client = client_of(stocked.member("bob"))
    sale(stocked)
    order = {"lines": [{"sku": "phone", "quantity": 2}]}
    changed = client.post("/api/orders/", order | {"expected_total": 200})
    assert is_problem(changed, 409, "price_changed")
    assert (changed.json()["total"], changed.json()["lines"][0]["price"]) == (100, 50)
    assert client.post("/api/orders/", order | {"expected_total": 100}).status_code == 202
    refused = client.post("/api/orders/", order)
    assert is_problem(refused, 422, "order_refused")
    assert refused.json()["lines"][0] | {"detail": ""} == {
        "sku": "phone", "code": "campaign_limit", "detail": "", "limit": 2, "taken": 2
    }  # fmt: skip
    for wrong in (-1, "100", 1.5, None):
        assert paths(client.post("/api/orders/", order | {"expected_total": wrong})) == ["expected_total"]


# --- The copy ---


def test_a_copy_is_the_campaign_as_it_is_and_replayed_the_same(stocked: Shop) -> None:
    campaign = sale(stocked, starts_at=1, ends_at=2)
    change_campaign(campaign_id=campaign.pk, at=timezone.now(), price=40)
    change_product(sku="phone", listed=False)
    stocked.drain()
    copy = CampaignCopy.objects.get()
    assert (copy.price, copy.state, copy.starts_at) == (40, "suspended", campaign.starts_at)
    change_product(sku="phone", listed=True)
    stocked.drain()
    end_campaign(campaign_id=campaign.pk, at=timezone.now())
    stocked.drain()
    before = list(CampaignCopy.objects.values())
    assert before[0]["state"] == "ended"
    Cursor.objects.update(position=0)
    stocked.time_out()
    stocked.drain()
    assert list(CampaignCopy.objects.values()) == before
    CampaignCopy.objects.all().delete()
    sale(stocked, "case")
    assert not DeadLetter.objects.exists()
