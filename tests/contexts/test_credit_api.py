"""Credit over HTTP, in the admin and on the command line."""

import json
from io import StringIO
from typing import Any

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.db import connections

from shop.members import queries
from shop.members.models import SNAPSHOT_EVERY, CreditAccount, StreamEvent
from shop.values import MAX_CREDIT
from tests.contexts.api import client_of, is_problem, paths, staff
from tests.contexts.test_credit import created, hear, returned, shipped
from tests.harness import Shop

LIMIT = settings.NEW_MEMBER_CREDIT


def test_a_member_sees_its_credit(shop: Shop) -> None:
    member = shop.member()
    sent = created(member.pk, 300)
    hear(created(member.pk, 700), sent, shipped(sent), returned(sent, 100))
    answer = client_of(member).get("/api/members/me/")
    assert answer.json() == {
        "id": member.pk,
        "name": "Ada",
        "credit": {"limit": LIMIT, "reserved": 700, "spent": 200, "available": LIMIT - 900},
    }


def test_a_member_without_an_account_sees_what_it_will_have(shop: Shop) -> None:
    member = shop.member()
    with connections["default"].cursor() as cursor:
        cursor.execute("DELETE FROM members_streamevent; DELETE FROM members_creditaccount")
    assert client_of(member).get("/api/members/me/").json()["credit"]["available"] == LIMIT


def change(client: Any, member_id: int, body: Any, **headers: str) -> Any:
    return client.patch(f"/api/members/{member_id}/credit/", body, format="json", headers=headers)


def test_staff_changes_a_limit(shop: Shop) -> None:
    member = shop.member()
    hear(created(member.pk, 700))
    answer = change(staff("credit"), member.pk, {"limit": 1000})
    assert (answer.status_code, answer.json()) == (200, {"limit": 1000, "reserved": 700, "spent": 0, "available": 300})


def test_a_limit_below_what_is_in_use_is_refused_with_the_values(shop: Shop) -> None:
    member = shop.member()
    hear(created(member.pk, 700))
    answer = change(staff("credit"), member.pk, {"limit": 699})
    assert is_problem(answer, 409, "limit_below_use")
    assert answer.json().items() >= {"limit": 699, "reserved": 700, "spent": 0}.items()
    assert "Choose 700 or more" in answer.json()["detail"]
    assert queries.credit_of(member.pk).limit == LIMIT


def test_the_limit_of_nobody_cannot_be_changed(shop: Shop) -> None:
    client = staff("credit")
    assert is_problem(change(client, 999, {"limit": 1}), 404, "not_found")
    assert is_problem(change(client, 999_999_999_999_999_999, {"limit": 1}), 404, "not_found")
    assert CreditAccount.objects.count() == 0


@pytest.mark.parametrize("limit", [-1, MAX_CREDIT + 1, 10**30, 1.0, "5", True, None])
def test_a_limit_is_a_whole_number_within_bounds(shop: Shop, limit: Any) -> None:
    member = shop.member()
    answer = change(staff("credit"), member.pk, {"limit": limit})
    assert is_problem(answer, 400, "invalid")
    assert paths(answer) == ["limit"]


def test_only_the_role_credit_changes_limits(shop: Shop) -> None:
    member = shop.member()
    for client in (client_of(member), staff("support"), staff("orders")):
        assert is_problem(change(client, member.pk, {"limit": 1}), 403, "permission_denied")
    assert is_problem(change(client_of(), member.pk, {"limit": 1}), 401, "not_authenticated")


def test_a_change_under_the_same_key_is_made_once(shop: Shop) -> None:
    member, client = shop.member(), staff("credit")
    first = change(client, member.pk, {"limit": 500}, idempotency_key="k")
    change(client, member.pk, {"limit": 900})
    again = change(client, member.pk, {"limit": 500}, idempotency_key="k")
    assert (again.status_code, again.json()) == (200, first.json())
    assert queries.credit_of(member.pk).limit == 900
    assert is_problem(change(client, member.pk, {"limit": 1}, idempotency_key="k"), 422, "idempotency_key_reused")


def folded(member_id: object, *options: str) -> str:
    out = StringIO()
    call_command("credit", str(member_id), *options, stdout=out)
    return out.getvalue()


def test_the_command_folds_an_account_and_prints_its_lines(shop: Shop) -> None:
    member = shop.member()
    sent = created(member.pk, 300)
    hear(sent, shipped(sent), *(created(member.pk, 1) for _ in range(SNAPSHOT_EVERY)))
    lines = folded(member.pk).splitlines()
    assert len(lines) == 1 + 3 + SNAPSHOT_EVERY + 1
    assert str(sent.order_id) in lines[2]
    assert lines[-1].endswith("snapshot and tail give the same")
    answer = json.loads(folded(member.pk, "--json"))
    assert answer["same"]
    assert answer["account"] == {
        "version": 3 + SNAPSHOT_EVERY,
        "limit": LIMIT,
        "reserved": SNAPSHOT_EVERY,
        "spent": 300,
        "available": LIMIT - SNAPSHOT_EVERY - 300,
    }
    assert [line["kind"] for line in answer["lines"][:3]] == ["opened", "reserved", "spent"]


@pytest.mark.parametrize(
    ("sql", "says"),
    [
        ("UPDATE members_creditaccount SET reserved = 5", "Snapshot and tail give.*reserved 7.05.*reserved 7.00"),
        ("DELETE FROM members_streamevent WHERE version = 2", "version 3 does not follow 1"),
    ],
)
def test_the_command_says_when_snapshot_and_stream_differ(shop: Shop, sql: str, says: str) -> None:
    member = shop.member()
    hear(created(member.pk, 700), created(member.pk, 0))
    with connections["default"].cursor() as cursor:
        cursor.execute(sql)
    with pytest.raises(CommandError, match=says):
        folded(member.pk)


def test_the_command_says_that_there_is_no_such_account(shop: Shop) -> None:
    with pytest.raises(CommandError, match="There is no credit account 999"):
        folded(999)


def test_migrate_opens_the_accounts_that_members_lack(shop: Shop) -> None:
    members = [shop.member(f"m{number}").pk for number in range(3)]
    with connections["default"].cursor() as cursor:
        cursor.execute("DELETE FROM members_streamevent; DELETE FROM members_creditaccount")
    out = StringIO()
    call_command("migrate", database="default", stdout=out)
    assert "3 credit accounts opened" in out.getvalue()
    call_command("migrate", database="default", stdout=StringIO())
    assert sorted(StreamEvent.objects.values_list("member_id", "version")) == [(pk, 1) for pk in members]
