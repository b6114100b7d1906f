"""Campaigns: who may run when, what may still be changed, and how they follow the listing of their products."""

from collections.abc import Callable
from datetime import timedelta
from itertools import permutations
from typing import Any

import pytest
from django.db import IntegrityError, connections, transaction
from django.utils import timezone

from shop.catalogue.services import change_product
from shop.console.announcing import announce_all
from shop.marketing import policies, queries, services
from shop.marketing.models import (
    Campaign,
    CampaignOver,
    CampaignStarted,
    Cursor,
    DeadLetter,
    OutboxEvent,
    ProductCopy,
    UnfitCampaign,
)
from shop.marketing.services import UnknownProduct, WindowsOverlap
from tests.harness import Shop, eventually, in_background, waiting_for_locks

SECOND = timedelta(seconds=1)


@pytest.fixture
def stocked(shop: Shop) -> Shop:
    """A shop with a product that marketing has heard of."""
    shop.sell("phone", stock=10)
    shop.drain()
    return shop


def state(campaign: Campaign) -> str:
    return str(Campaign.objects.get(pk=campaign.pk).state)


def said() -> list[str]:
    types = OutboxEvent.objects.order_by("position").values_list("type", flat=True)
    return [name.removeprefix("marketing.campaign-") for name in types]


# --- The window ---


def test_a_campaign_starts_and_ends_to_the_second() -> None:
    now = timezone.now()
    window = {"starts_at": now, "ends_at": now + 2 * SECOND}
    moments = (now - timedelta(microseconds=1), now, now + 2 * SECOND - timedelta(microseconds=1), now + 2 * SECOND)
    stages = [policies.stage(policies.SCHEDULED, at=at, **window) for at in moments]
    assert stages == ["scheduled", "running", "running", "ended"]


def test_what_the_database_says_of_a_campaign_is_what_the_model_says(stocked: Shop) -> None:
    campaigns = [
        stocked.campaign("phone"),
        stocked.campaign("phone", starts_at=1, ends_at=2),
        services.end_campaign(campaign_id=stocked.campaign("phone", starts_at=2, ends_at=3).pk, at=timezone.now()),
        stocked.campaign("phone", at=timezone.now() - timedelta(days=1)),
    ]
    assert [campaign.stage(timezone.now()) for campaign in campaigns] == ["running", "scheduled", "ended", "ended"]
    change_product(sku="phone", listed=False)
    stocked.drain()
    for campaign in Campaign.objects.all():
        stage = campaign.stage(timezone.now())
        assert [name for name, fits in queries.STAGES.items() if campaign in Campaign.objects.filter(fits)] == [stage]


def test_windows_of_one_product_do_not_overlap_and_those_of_two_may(stocked: Shop) -> None:
    stocked.sell("case")
    stocked.drain()
    first = stocked.campaign("phone", starts_at=1, ends_at=3)
    stocked.campaign("phone", starts_at=3, ends_at=4, at=first.starts_at - timedelta(hours=1))
    stocked.campaign("case", starts_at=1, ends_at=3)
    with pytest.raises(WindowsOverlap, match=f"campaign {first.pk}, from .* of the same product 'phone'"):
        stocked.campaign("phone", starts_at=2, ends_at=2.5)
    assert Campaign.objects.count() == 3
    services.end_campaign(campaign_id=first.pk, at=timezone.now())
    stocked.campaign("phone", starts_at=2, ends_at=2.5)


def test_of_two_that_want_one_window_at_once_one_is_told_of_the_other(stocked: Shop) -> None:
    with transaction.atomic(using="marketing"):
        ProductCopy.objects.select_for_update().get()
        both = [in_background(lambda: stocked.campaign("phone")) for _ in range(2)]
        eventually(lambda: waiting_for_locks("marketing") >= 2)
    outcomes = [one.exception(timeout=10) for one in both]
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["NoneType", "WindowsOverlap"]
    assert Campaign.objects.count() == 1


def test_the_window_that_a_campaign_is_moved_to_must_be_free(stocked: Shop) -> None:
    first = stocked.campaign("phone", starts_at=1, ends_at=2)
    second = stocked.campaign("phone", starts_at=3, ends_at=4)
    with pytest.raises(WindowsOverlap, match=str(first.pk)):
        services.change_campaign(campaign_id=second.pk, at=timezone.now(), starts_at=first.starts_at)
    assert said() == ["scheduled", "scheduled"]


def test_the_table_refuses_what_the_model_does(stocked: Shop) -> None:
    campaign = stocked.campaign("phone")
    for assignment, constraint in (
        ("price = 0", "price"),
        ("price = 10000000001", "price"),
        ("limit_per_member = 0", "limit"),
        ("allotment = 0", "allotment"),
        ("ends_at = starts_at", "window"),
        ("ends_at = starts_at + interval '367 days'", "window"),
        ("state = 'ended'", "state"),
        ("state = 'paused'", "state"),
        ("sku = 'no such thing'", "sku"),
    ):
        with (
            pytest.raises(IntegrityError, match=f"marketing_campaign_{constraint}"),
            transaction.atomic(using="marketing"),
            connections["marketing"].cursor() as cursor,
        ):
            cursor.execute(f"UPDATE marketing_campaign SET {assignment} WHERE id = %s", [campaign.pk])


def test_every_fault_of_a_campaign_is_named(stocked: Shop) -> None:
    with pytest.raises(UnfitCampaign) as refused:
        stocked.campaign("phone", price=0, limit_per_member=0, allotment=0, starts_at=1, ends_at=1)
    assert {error["path"] for error in refused.value.extra["errors"]} == {
        "price", "limit_per_member", "allotment", "ends_at"
    }  # fmt: skip
    with pytest.raises(UnfitCampaign, match="must be in the future"):
        stocked.campaign("phone", starts_at=-2, ends_at=-1)
    with pytest.raises(UnknownProduct, match="no product 'lamp' to marketing"):
        stocked.campaign("lamp")
    assert not Campaign.objects.exists()


# --- Changes ---


def test_once_it_has_started_only_its_end_can_be_changed(stocked: Shop) -> None:
    campaign = stocked.campaign("phone")
    now = timezone.now()
    for change in ({"price": 1}, {"starts_at": now}, {"limit_per_member": 9}, {"allotment": 9}):
        with pytest.raises(CampaignStarted, match=f"{next(iter(change))} can no longer be changed"):
            services.change_campaign(campaign_id=campaign.pk, at=now, **change)
    services.change_campaign(campaign_id=campaign.pk, at=now, ends_at=now + timedelta(hours=9), price=campaign.price)
    assert said() == ["scheduled", "changed"]
    services.change_campaign(campaign_id=campaign.pk, at=now, ends_at=now + timedelta(hours=9))
    assert said() == ["scheduled", "changed"]


def test_before_it_starts_everything_but_the_product_can_be_changed(stocked: Shop) -> None:
    campaign = stocked.campaign("phone", starts_at=1, ends_at=2)
    at = timezone.now()
    new = {"price": 1, "starts_at": at + SECOND, "ends_at": at + 2 * SECOND, "limit_per_member": 3, "allotment": 4}
    changed = services.change_campaign(campaign_id=campaign.pk, at=at, **new)
    assert {name: getattr(changed, name) for name in new} == new
    with pytest.raises(UnfitCampaign, match="must be from 1"):
        services.change_campaign(campaign_id=campaign.pk, at=at, allotment=0)


def test_what_has_ended_stays_as_it_is(stocked: Shop) -> None:
    ended = services.end_campaign(campaign_id=stocked.campaign("phone").pk, at=timezone.now())
    over = stocked.campaign("phone", at=timezone.now() - timedelta(days=1))
    for campaign in (ended, over):
        with pytest.raises(CampaignOver, match="schedule another"):
            services.change_campaign(campaign_id=campaign.pk, at=timezone.now(), price=1)
        with pytest.raises(CampaignOver):
            services.end_campaign(campaign_id=campaign.pk, at=timezone.now())
    assert said() == ["scheduled", "ended", "scheduled"]


# --- Listing ---


def test_a_delisted_product_suspends_its_campaigns_and_relisting_resumes_them(stocked: Shop) -> None:
    running, planned = stocked.campaign("phone"), stocked.campaign("phone", starts_at=1, ends_at=2)
    over = stocked.campaign("phone", at=timezone.now() - timedelta(days=1))
    ended = services.end_campaign(
        campaign_id=stocked.campaign("phone", starts_at=3, ends_at=4).pk, at=timezone.now()
    )  # fmt: skip
    change_product(sku="phone", listed=False)
    stocked.drain()
    assert [state(campaign) for campaign in (running, planned, over, ended)] == [
        "suspended", "suspended", "scheduled", "ended"
    ]  # fmt: skip
    change_product(sku="phone", listed=True)
    stocked.drain()
    assert [state(campaign) for campaign in (running, planned, ended)] == ["scheduled", "scheduled", "ended"]
    assert sorted(said()[-4:]) == ["resumed", "resumed", "suspended", "suspended"]


def test_a_campaign_of_a_product_that_is_not_listed_begins_suspended(stocked: Shop) -> None:
    change_product(sku="phone", listed=False)
    stocked.drain()
    campaign = stocked.campaign("phone")
    assert campaign.stage(timezone.now()) == state(campaign) == "suspended"
    assert OutboxEvent.objects.get().data["state"] == "suspended"


def test_a_campaign_that_is_scheduled_while_its_product_is_delisted_is_suspended(stocked: Shop) -> None:
    change_product(sku="phone", listed=False)
    stocked.scan("catalogue")
    with transaction.atomic(using="marketing"):  # both wait for the product; whoever is first, it ends suspended
        ProductCopy.objects.select_for_update().get()
        scheduled = in_background(lambda: stocked.campaign("phone"))
        eventually(lambda: waiting_for_locks("marketing") >= 1)
        heard = in_background(stocked.deliveries.next("marketing").deliver)
        eventually(lambda: waiting_for_locks("marketing") >= 2)
    heard.result(timeout=10)
    assert state(scheduled.result(timeout=10)) == "suspended"


CHANGES: dict[str, Callable[[], Any]] = {
    "delist": lambda: change_product(sku="phone", listed=False),
    "list": lambda: change_product(sku="phone", listed=True),
    "rename": lambda: change_product(sku="phone", name="Telephone"),
}


@pytest.mark.parametrize("order", list(permutations(CHANGES)), ids=" ".join)
@pytest.mark.parametrize("together", [True, False], ids=["in one batch", "one by one"])
def test_a_campaign_follows_its_product_whatever_the_order(stocked: Shop, order: Any, together: bool) -> None:
    campaign = stocked.campaign("phone")
    for change in order:
        CHANGES[change]()
        if not together:
            stocked.drain()
    stocked.drain()
    last = [change for change in order if change != "rename"][-1]
    assert state(campaign) == {"list": "scheduled", "delist": "suspended"}[last]
    before = list(ProductCopy.objects.values()), state(campaign)
    Cursor.objects.update(position=0)  # all of it again, and in one batch
    stocked.time_out()
    stocked.drain()
    assert (list(ProductCopy.objects.values()), state(campaign)) == before
    assert not DeadLetter.objects.exists()


def test_listing_a_product_whose_addition_was_discarded_is_no_poison(stocked: Shop) -> None:
    ProductCopy.objects.all().delete()
    change_product(sku="phone", listed=False)
    stocked.drain()
    assert not ProductCopy.objects.exists()
    assert not DeadLetter.objects.exists()


def test_marketing_says_its_campaigns_again(stocked: Shop) -> None:
    campaign = services.end_campaign(campaign_id=stocked.campaign("phone").pk, at=timezone.now())
    assert list(announce_all(Campaign)) == [[campaign.pk]]
    again = OutboxEvent.objects.latest("position")
    assert (again.type, again.data["state"], again.data["price"]) == ("marketing.campaign-changed", "ended", 50)
