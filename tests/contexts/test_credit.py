"""Credit: orders that name the members context as participant take from their member's account."""

from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
import pytest
from django.conf import settings
from django.db import IntegrityError, connections, transaction
from django.utils import timezone
from uuid_utils.compat import uuid7

from orders.events import OrderCancelled, OrderCreated, OrderEvent, OrderReturned, OrderShipped
from shop.members import queries, services
from shop.members.credit.account import LimitBelowUse, Reserve
from shop.members.credit.stream import Accounts, VersionConflict, store_with_accounts
from shop.members.events import CreditMovement
from shop.members.models import SNAPSHOT_EVERY, CreditAccount, Cursor, OutboxEvent, StreamEvent
from shop.members.tasks import take_credit
from shop.messaging.batches import Batch, cloud_event
from shop.messaging.events import decode
from shop.messaging.retry import Retry
from tests.harness import Shop, eventually, in_background, name_participants, waiting_for_locks

NOW = datetime.fromisoformat("2026-01-01T00:00:00+00:00")


def created(member_id: int, total: int, *participants: str, order_id: UUID | None = None) -> OrderCreated:
    return OrderCreated(
        order_id=order_id or uuid7(),
        member_id=member_id,
        lines=(),
        total=total,
        currency="CNY",
        placed_at=NOW,
        participants=participants or ("inventory", "members"),
    )


def cancelled(order: OrderCreated) -> OrderCancelled:
    return OrderCancelled(order_id=order.order_id, reason={"code": "timed_out"}, at=NOW)


def shipped(order: OrderCreated) -> OrderShipped:
    return OrderShipped(order_id=order.order_id, at=NOW)


def returned(order: OrderCreated, refunded: int) -> OrderReturned:
    return OrderReturned(order_id=order.order_id, lines=(), refunded=refunded, at=NOW)


def hear(*events: OrderEvent, annulled: tuple[OrderEvent, ...] = ()) -> None:
    """Have the members context apply these events of orders, as one batch."""
    with transaction.atomic(using="default"):
        take_credit(batch(*events, annulled=annulled))


def batch(*events: OrderEvent, annulled: tuple[OrderEvent, ...] = ()) -> Batch:
    return Batch(
        [
            cloud_event(
                source="orders",
                position=position,
                type=event.wire_name,
                key=str(event.order_id),
                data=msgspec.to_builtins(event),
                headers={"annulled": "true"} if event in annulled else {},
                time=NOW.isoformat(),
            )
            for position, event in enumerate(events, 1)
        ]
    )


def credit(member_id: int) -> tuple[int, int, int]:
    """(reserved, spent, available)"""
    account = queries.credit_of(member_id)
    return account.reserved, account.spent, account.available


def announced(*orders: OrderCreated) -> list[tuple[str, int]]:
    """(what, version) that was announced about these orders, in order."""
    found: list[Any] = [
        decode(row.type, row.data)
        for row in OutboxEvent.objects.filter(type__startswith="members.credit").order_by("position")
    ]
    ids = {order.order_id for order in orders}
    return [
        (type(event).__name__, event.version)
        for event in found
        if isinstance(event, CreditMovement) and event.order_id in ids
    ]


def stream(member_id: int) -> list[str]:
    rows = StreamEvent.objects.filter(member_id=member_id).order_by("version")
    assert [row.version for row in rows] == list(range(1, len(rows) + 1))
    return [row.get_type_display() for row in rows]


LIMIT = settings.NEW_MEMBER_CREDIT


def test_who_joins_has_an_account_with_the_credit_of_a_new_member(shop: Shop) -> None:
    member = shop.member()
    assert credit(member.pk) == (0, 0, LIMIT)
    assert stream(member.pk) == ["opened"]
    (event,) = OutboxEvent.objects.filter(type="members.credit-opened")
    assert (event.key, event.data["limit"], event.data["version"]) == (str(member.pk), LIMIT, 1)


def test_an_order_reserves_its_total_and_is_answered(shop: Shop) -> None:
    member = shop.member()
    hear(order := created(member.pk, 700))
    assert credit(member.pk) == (700, 0, LIMIT - 700)
    assert announced(order) == [("CreditReserved", 2)]


def test_an_order_beyond_the_credit_is_refused_and_reserves_nothing(shop: Shop) -> None:
    member = shop.member()
    hear(order := created(member.pk, LIMIT + 1))
    assert credit(member.pk) == (0, 0, LIMIT)
    assert announced(order) == [("CreditRefused", 2)]
    assert StreamEvent.objects.get(order_id=order.order_id).data["missing"] == 1


def test_orders_of_one_batch_see_what_those_before_them_reserved(shop: Shop) -> None:
    member = shop.member()
    orders = [created(member.pk, LIMIT // 2) for _ in range(3)]
    hear(*orders)
    assert announced(*orders) == [("CreditReserved", 2), ("CreditReserved", 3), ("CreditRefused", 4)]


@pytest.mark.parametrize("apart", [True, False], ids=["each in a batch of its own", "in one batch"])
def test_an_order_is_shipped_and_what_comes_back_is_refunded(shop: Shop, apart: bool) -> None:
    member = shop.member()
    order = created(member.pk, 700)
    events = [order, shipped(order), returned(order, 200), returned(order, 300)]
    for part in [[event] for event in events] if apart else [events]:
        hear(*part)
    assert credit(member.pk) == (0, 400, LIMIT - 400)
    assert stream(member.pk) == ["opened", "reserved", "spent", "refunded", "refunded"]


@pytest.mark.parametrize("apart", [True, False], ids=["each in a batch of its own", "in one batch"])
def test_a_cancelled_order_gives_its_credit_back(shop: Shop, apart: bool) -> None:
    member = shop.member()
    order = created(member.pk, 700)
    for part in [[order], [cancelled(order)]] if apart else [[order, cancelled(order)]]:
        hear(*part)
    assert credit(member.pk) == (0, 0, LIMIT)
    assert stream(member.pk) == ["opened", "reserved", "released"]


def test_an_order_that_does_not_name_the_members_takes_nothing_now_or_later(shop: Shop) -> None:
    member = shop.member()
    order = created(member.pk, 700, "inventory")
    hear(order, shipped(order), returned(order, 700))
    other = created(member.pk, 700, "inventory")
    hear(other, cancelled(other))
    assert stream(member.pk) == ["opened"]


def test_an_annulled_creation_takes_nothing_and_is_not_answered(shop: Shop) -> None:
    member = shop.member()
    order = created(member.pk, 700)
    hear(order, cancelled(order), annulled=(order,))
    assert stream(member.pk) == ["opened"]
    assert announced(order) == []


def test_what_is_heard_again_has_the_same_answers_and_no_effect(shop: Shop) -> None:
    member = shop.member()
    kept, back, sent = (created(member.pk, 100) for _ in range(3))
    refused = created(member.pk, LIMIT)
    events = [kept, back, sent, refused, cancelled(back), shipped(sent), returned(sent, 30)]
    hear(*events)
    before, lines = credit(member.pk), stream(member.pk)
    hear(*events)
    for event in events:
        hear(event)
    assert (credit(member.pk), stream(member.pk)) == (before, lines)
    assert announced(refused) == [("CreditRefused", 5)] * 3
    assert announced(kept) == [("CreditReserved", 2)] * 3


def test_a_cursor_set_back_by_hand_changes_nothing(shop: Shop, participants: None) -> None:
    member = shop.member()
    shop.sell("phone", stock=5)
    shop.drain()
    first, second = (shop.place(("phone", 1), member_id=member.pk) for _ in range(2))
    shop.drain()
    shop.cancel(second)
    shop.drain()
    before, lines = credit(member.pk), stream(member.pk)
    Cursor.objects.update(position=0, types={}, last_event=None)
    shop.time_out("orders")
    shop.drain()
    assert (credit(member.pk), stream(member.pk)) == (before, lines)
    assert StreamEvent.objects.filter(order_id=first.pk).count() == 1
    assert shop.all_letters() == []


def test_a_snapshot_is_written_when_it_is_due_and_not_before(shop: Shop) -> None:
    member = shop.member()

    def version() -> int:
        return CreditAccount.objects.get(pk=member.pk).version

    hear(*(created(member.pk, 1) for _ in range(SNAPSHOT_EVERY - 1)))
    assert version() == 1
    hear(created(member.pk, 1))
    assert version() == SNAPSHOT_EVERY + 1
    row = CreditAccount.objects.get(pk=member.pk)
    assert (row.limit, row.reserved, row.spent) == (LIMIT, SNAPSHOT_EVERY, 0)
    hear(created(member.pk, 1))
    assert version() == SNAPSHOT_EVERY + 1
    assert credit(member.pk) == (SNAPSHOT_EVERY + 1, 0, LIMIT - SNAPSHOT_EVERY - 1)


def test_what_an_order_did_before_the_snapshot_counts_after_it(shop: Shop) -> None:
    member = shop.member()
    order, sent = created(member.pk, 500), created(member.pk, 300)
    hear(order, sent, shipped(sent), returned(sent, 100))
    hear(*(created(member.pk, 0) for _ in range(SNAPSHOT_EVERY)))
    assert CreditAccount.objects.get(pk=member.pk).version > 5
    hear(order, returned(sent, 250), cancelled(order))
    assert announced(order)[:2] == [("CreditReserved", 2)] * 2
    assert credit(member.pk) == (0, 50, LIMIT - 50)


def test_a_member_without_an_account_gets_one_with_its_first_order(shop: Shop) -> None:
    member = shop.member()
    StreamEvent.objects.all().delete()
    with connections["default"].cursor() as cursor:  # an older web process let it join
        cursor.execute("DELETE FROM members_creditaccount")
    assert credit(member.pk) == (0, 0, LIMIT)
    hear(created(member.pk, 700), created(member.pk, 1))
    assert credit(member.pk) == (701, 0, LIMIT - 701)


def test_an_order_of_an_unknown_member_is_refused_and_who_joins_later_keeps_the_account(shop: Shop) -> None:
    known = shop.member().pk
    unknown = known + 1
    hear(order := created(unknown, 700))
    assert announced(order) == [("CreditRefused", 2)]
    assert shop.member("bob").pk == unknown
    assert stream(unknown) == ["opened", "refused", "limit changed"]
    assert credit(unknown) == (0, 0, LIMIT)


def test_a_limit_is_changed_and_not_below_what_is_in_use(shop: Shop) -> None:
    member = shop.member()
    hear(created(member.pk, 700))
    assert services.change_limit(member_id=member.pk, limit=700).available == 0
    with pytest.raises(LimitBelowUse):
        services.change_limit(member_id=member.pk, limit=699)
    assert stream(member.pk) == ["opened", "reserved", "limit changed"]


def test_a_batch_is_loaded_and_stored_in_as_many_statements_as_one_order(
    shop: Shop, django_assert_num_queries: Any
) -> None:
    members = [shop.member(f"m{number}") for number in range(12)]
    hear(created(members[0].pk, 1))
    with django_assert_num_queries(7, using="default"):
        hear(created(members[1].pk, 1))
    with django_assert_num_queries(7, using="default"):
        hear(*(created(member.pk, 1) for member in members[2:] for _ in range(20)))


def test_batches_that_share_members_wait_for_each_other(shop: Shop) -> None:
    ada, bob = shop.member(), shop.member("bob")
    with transaction.atomic(using="default"):
        take_credit(batch(created(bob.pk, 1), created(ada.pk, 1)))
        other = in_background(lambda: hear(created(ada.pk, 2), created(bob.pk, 2)))
        eventually(lambda: waiting_for_locks("default"))
    other.result(timeout=10)
    assert credit(ada.pk)[0] == credit(bob.pk)[0] == 3


def test_a_version_is_written_once_and_the_other_writer_tries_again(shop: Shop) -> None:
    member = shop.member()
    with transaction.atomic(using="default"):
        stale = Accounts(members=[member.pk], orders={(order := created(member.pk, 5)).order_id: member.pk})
        account = stale.get(member.pk)
        assert account is not None
        account.handle(Reserve(order_id=order.order_id, amount=5), at=timezone.now())
        StreamEvent.objects.create(  # by somebody who does not lock
            member_id=member.pk, version=2, type="members.credit-limit-changed", data={}, at=timezone.now()
        )
        with pytest.raises(VersionConflict):
            store_with_accounts(*stale.changed())
        transaction.set_rollback(True, using="default")
    assert stream(member.pk) == ["opened"]


def test_a_version_conflict_is_no_fault_of_the_event(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    member = shop.member()

    def conflict(*aggregates: object) -> None:
        raise VersionConflict("another process")

    monkeypatch.setattr("shop.members.tasks.store_with_accounts", conflict)
    with pytest.raises(Retry):
        hear(created(member.pk, 1))


def test_accounts_that_two_open_at_once_are_opened_once(shop: Shop) -> None:
    unknown = shop.member().pk + 1
    with transaction.atomic(using="default"):
        take_credit(batch(created(unknown, 1)))
        other = in_background(lambda: hear(created(unknown, 2)))
        eventually(lambda: waiting_for_locks("default"))
    with pytest.raises(Retry):
        other.result(timeout=10)
    hear(created(unknown, 2))
    assert stream(unknown) == ["opened", "refused", "refused"]


def test_members_who_exist_already_are_given_accounts_a_page_at_a_time(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(services, "PAGE", 2)
    members = [shop.member(f"m{number}").pk for number in range(5)]
    with connections["default"].cursor() as cursor:
        cursor.execute("DELETE FROM members_streamevent WHERE member_id <> %s", [members[2]])
        cursor.execute("DELETE FROM members_creditaccount WHERE member_id <> %s", [members[2]])
    runs = [in_background(services.open_accounts) for _ in range(3)]
    assert sum(run.result(timeout=20) for run in runs) == 4
    assert services.open_accounts() == 0
    assert [stream(member) for member in members] == [["opened"]] * 5


def test_opening_accounts_goes_on_where_it_was_interrupted(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services, "PAGE", 2)
    for number in range(5):
        shop.member(f"m{number}")
    with connections["default"].cursor() as cursor:
        cursor.execute("DELETE FROM members_streamevent; DELETE FROM members_creditaccount")
    pages = []

    def dies(after: int, work: Any = services._open_page) -> list[int]:
        if pages:
            raise KeyboardInterrupt
        pages.append(work(after))
        return pages[0]

    with monkeypatch.context() as patched:
        patched.setattr(services, "_open_page", dies)
        with pytest.raises(KeyboardInterrupt):
            services.open_accounts()
    assert CreditAccount.objects.count() == 2
    assert services.open_accounts() == 3


def test_the_balance_of_each_line_is_what_a_fold_up_to_it_gives(shop: Shop) -> None:
    member, other = shop.member(), shop.member("bob")
    order = created(member.pk, 700)
    hear(order, created(other.pk, 5), shipped(order), returned(order, 200))
    services.change_limit(member_id=member.pk, limit=900)
    rows = list(StreamEvent.objects.exclude(version=2, member_id=member.pk))
    found = {(row.member_id, row.version): queries.balances(rows)[row.pk] for row in rows}
    assert {key: (state.reserved, state.spent, state.limit) for key, state in found.items()} == {
        (member.pk, 1): (0, 0, LIMIT),
        (member.pk, 3): (0, 700, LIMIT),
        (member.pk, 4): (0, 500, LIMIT),
        (member.pk, 5): (0, 500, 900),
        (other.pk, 1): (0, 0, LIMIT),
        (other.pk, 2): (5, 0, LIMIT),
    }


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE members_creditaccount SET reserved = -1",
        "UPDATE members_creditaccount SET spent = -1",
        'UPDATE members_creditaccount SET "limit" = -1',
        'UPDATE members_creditaccount SET reserved = "limit", spent = 1',
        "INSERT INTO members_streamevent (member_id, version, type, data, at) "
        "SELECT member_id, version, type, data, at FROM members_streamevent",
    ],
)
def test_the_database_keeps_the_rules_too(shop: Shop, sql: str) -> None:
    shop.member()
    with pytest.raises(IntegrityError), connections["default"].cursor() as cursor:
        cursor.execute(sql)


@pytest.fixture
def participants(monkeypatch: pytest.MonkeyPatch) -> None:
    """Orders name both participants."""
    name_participants(monkeypatch, "inventory", "members")
