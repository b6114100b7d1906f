"""Campaigns in the admin: scheduled and changed by forms, ended by a button, and seen in a calendar."""

from datetime import datetime, timedelta

from django.utils import timezone

from shop.marketing.models import Campaign, OutboxEvent
from tests.contexts.admin.conftest import Browser
from tests.harness import Shop


def form(*, start: float, end: float, **fields: str) -> dict[str, str]:
    def parts(name: str, at: datetime) -> dict[str, str]:
        return {f"{name}_0": f"{at:%Y-%m-%d}", f"{name}_1": f"{at:%H:%M:%S}"}

    now = timezone.now()
    window = parts("starts_at", now + timedelta(hours=start)) | parts("ends_at", now + timedelta(hours=end))
    return {"sku": "phone", "price": "0.5", "limit_per_member": "2", "allotment": "5", **window, **fields}


def test_a_campaign_is_scheduled_and_changed_in_its_form(shop: Shop, boss: Browser) -> None:
    shop.sell("phone")
    shop.drain()
    boss.save("marketing_campaign", **form(start=1, end=2))
    campaign = Campaign.objects.get()
    assert (campaign.sku, campaign.price, campaign.limit_per_member) == ("phone", 50, 2)
    boss.save("marketing_campaign", campaign.pk, **form(start=1, end=2, price="0.40"))
    assert Campaign.objects.get().price == 40
    assert OutboxEvent.objects.filter(type="marketing.campaign-changed").count() == 1


def test_what_the_domain_refuses_is_shown_above_the_form(shop: Shop, boss: Browser) -> None:
    shop.sell("phone")
    shop.drain()
    shop.campaign("phone")
    for fields, refusal in (
        (form(start=0, end=2), "The window overlaps with that of campaign"),
        (form(start=5, end=4), "It must be after starts_at"),
        (form(start=5, end=6, sku="lamp"), "has announced no product"),
    ):
        assert refusal in boss.save("marketing_campaign", **fields).content.decode()
    assert Campaign.objects.count() == 1


def test_of_a_running_campaign_only_the_end_is_a_field_and_of_an_ended_one_nothing(shop: Shop, boss: Browser) -> None:
    shop.sell("phone")
    shop.drain()
    campaign = shop.campaign("phone")
    page = boss.opened("marketing_campaign", campaign.pk).content.decode()
    assert 'name="ends_at_0"' in page
    assert not [name for name in ("price", "starts_at_0", "allotment", "limit_per_member") if f'name="{name}"' in page]
    boss.press("marketing_campaign", "end", campaign.pk)
    assert Campaign.objects.get().state == "ended"
    page = boss.opened("marketing_campaign", campaign.pk).content.decode()
    assert 'name="ends_at_0"' not in page
    assert boss.url("marketing_campaign", "end", campaign.pk) not in page


def test_the_calendar_shows_what_runs_now_and_next(shop: Shop, boss: Browser) -> None:
    shop.sell("phone")
    shop.drain()
    shop.campaign("phone", at=timezone.now() - timedelta(days=1))
    shop.campaign("phone", starts_at=2, ends_at=3)
    shop.campaign("phone")
    (calendar,) = boss.listed("marketing_campaign").context["panels"]
    assert [row[2] for row in calendar.rows] == ["Phone", "Phone"]
    assert ["running" in calendar.rows[0][0], "scheduled" in calendar.rows[1][0]] == [True, True]
    assert "Calendar: now and next" in boss.listed("marketing_campaign").content.decode()
