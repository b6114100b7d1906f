"""Credit accounts in the admin."""

from collections.abc import Callable

from django.conf import settings

from shop.members import queries
from shop.members.credit import admin as credit_admin
from tests.contexts.admin.conftest import Browser
from tests.contexts.test_credit import created, hear, shipped
from tests.harness import Shop


def test_an_account_shows_its_stream_with_the_balance_after_each_event(shop: Shop, boss: Browser) -> None:
    member = shop.member()
    sent = created(member.pk, 30_000)
    hear(sent, shipped(sent), created(member.pk, 5_000))
    page = boss.opened("members_creditaccount", member.pk).content.decode()
    for shown in ("300.00", "50.00", "99,650.00".replace(",", ""), "limit", str(sent.order_id)):
        assert shown in page


def test_an_account_shows_the_newest_events_and_links_the_rest(shop: Shop, boss: Browser, monkeypatch: object) -> None:
    member = shop.member()
    hear(*(created(member.pk, 1) for _ in range(credit_admin.LINES + 5)))
    row = boss.opened("members_creditaccount", member.pk)
    (panel,) = row.context["panels"]
    assert [cells[0] for cells in panel.rows] == list(range(credit_admin.LINES + 6, 6, -1))
    listed = boss.listed("members_streamevent", f"?member_id={member.pk}")
    assert listed.status_code == 200
    assert len(listed.context["cl"].result_list) == 50


def test_a_limit_is_changed_in_a_dialog(shop: Shop, boss: Browser) -> None:
    member = shop.member()
    boss.press("members_creditaccount", "change_limit", member.pk, limit="123.45")
    assert boss.messages() == [f"The limit of member {member.pk} is 123.45 CNY: 123.45 are available."]
    assert queries.credit_of(member.pk).limit == 12_345


def test_a_dialog_shows_why_a_limit_is_refused(shop: Shop, boss: Browser) -> None:
    member = shop.member()
    hear(created(member.pk, 700))
    answer = boss.press("members_creditaccount", "change_limit", member.pk, limit="6.99")
    assert "the limit cannot be" in answer.content.decode()
    assert queries.credit_of(member.pk).limit == settings.NEW_MEMBER_CREDIT


def test_support_sees_accounts_and_changes_nothing(shop: Shop, staff: Callable[..., Browser]) -> None:
    member = shop.member()
    support = staff("view_member", "view_creditaccount", "view_streamevent")
    assert support.opened("members_creditaccount", member.pk).status_code == 200
    assert support.listed("members_streamevent").status_code == 200
    assert support.client.get(support.url("members_creditaccount", "change_limit", member.pk)).status_code == 403


def test_a_members_page_links_its_account(shop: Shop, boss: Browser) -> None:
    member = shop.member()
    assert (
        boss.url("members_creditaccount", "change", member.pk)
        in boss.opened("members_member", member.pk).content.decode()
    )
