"""A credit account's rules: what a command does to it, and what its events make of it."""

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shop.members.credit.account import (
    Account,
    ChangeLimit,
    Command,
    Hold,
    LimitBelowUse,
    Open,
    Refund,
    Release,
    Reserve,
    Spend,
    WrongVersion,
    apply,
    decide,
    fold,
)
from shop.members.events import (
    CreditEvent,
    CreditOpened,
    CreditRefunded,
    CreditRefused,
    CreditReleased,
    CreditReserved,
    CreditSpent,
)

ONE, TWO, THREE = ORDERS = [UUID(int=number) for number in (1, 2, 3)]


def account_after(*commands: Command, limit: int = 100) -> Account:
    """An opened account, after these commands."""
    account = Account(member_id=7, holds={order: Hold() for order in ORDERS})
    for command in (Open(limit), *commands):
        account, _ = carried_out(account, command)
    return account


def carried_out(account: Account, command: Command) -> tuple[Account, list[CreditEvent]]:
    events = decide(account, command)
    return fold(account, (event for event in events if event.version > account.version)), events


def test_an_account_is_opened_once() -> None:
    assert decide(Account(member_id=7), Open(100)) == [CreditOpened(member_id=7, version=1, limit=100)]
    assert decide(account_after(), Open(500)) == []


def test_an_order_gets_its_total_reserved() -> None:
    account = account_after(Reserve(order_id=ONE, amount=60))
    assert (account.reserved, account.spent, account.available, account.version) == (60, 0, 40, 2)


def test_an_order_beyond_what_is_available_is_refused_and_says_what_is_missing() -> None:
    account = account_after(Reserve(order_id=ONE, amount=60))
    assert decide(account, Reserve(order_id=TWO, amount=50)) == [
        CreditRefused(member_id=7, version=3, order_id=TWO, amount=50, missing=10)
    ]


def test_an_order_may_take_the_last_of_the_limit() -> None:
    assert account_after(Reserve(order_id=ONE, amount=100)).available == 0


@pytest.mark.parametrize("amount", [60, 101])
@pytest.mark.parametrize("later", [[], [Release(order_id=ONE)], [Spend(order_id=ONE)], [ChangeLimit(1000)]])
def test_an_order_that_was_answered_gets_the_first_answer_again(amount: int, later: list[Command]) -> None:
    first = decide(account_after(), Reserve(order_id=ONE, amount=amount))
    account = account_after(Reserve(order_id=ONE, amount=amount), *later)
    assert carried_out(account, Reserve(order_id=ONE, amount=1)) == (account, first)


def test_what_is_reserved_is_released_once() -> None:
    account, events = carried_out(account_after(Reserve(order_id=ONE, amount=60)), Release(order_id=ONE))
    assert events == [CreditReleased(member_id=7, version=3, order_id=ONE, amount=60)]
    assert (account.reserved, account.available) == (0, 100)
    assert decide(account, Release(order_id=ONE)) == []


def test_what_is_reserved_is_spent_once() -> None:
    account, events = carried_out(account_after(Reserve(order_id=ONE, amount=60)), Spend(order_id=ONE))
    assert events == [CreditSpent(member_id=7, version=3, order_id=ONE, amount=60)]
    assert (account.reserved, account.spent, account.available) == (0, 60, 40)
    assert decide(account, Spend(order_id=ONE)) == []


@pytest.mark.parametrize(
    "before",
    [
        [],
        [Reserve(order_id=ONE, amount=101)],
        [Reserve(order_id=ONE, amount=60), Release(order_id=ONE)],
        [Reserve(order_id=ONE, amount=60), Spend(order_id=ONE)],
    ],
)
@pytest.mark.parametrize("command", [Release(order_id=ONE), Spend(order_id=ONE)])
def test_only_what_is_reserved_is_released_or_spent(before: list[Command], command: Command) -> None:
    assert decide(account_after(*before), command) == []


def test_a_refund_is_the_difference_to_what_came_back_before() -> None:
    account = account_after(Reserve(order_id=ONE, amount=60), Spend(order_id=ONE))
    account, first = carried_out(account, Refund(order_id=ONE, refunded=20))
    account, second = carried_out(account, Refund(order_id=ONE, refunded=50))
    assert [event.amount for event in (*first, *second) if isinstance(event, CreditRefunded)] == [20, 30]
    assert (account.spent, account.available) == (10, 90)


def test_a_refund_that_was_given_is_not_given_again() -> None:
    account = account_after(Reserve(order_id=ONE, amount=60), Spend(order_id=ONE), Refund(order_id=ONE, refunded=50))
    assert decide(account, Refund(order_id=ONE, refunded=50)) == []
    assert decide(account, Refund(order_id=ONE, refunded=20)) == []


def test_never_more_is_refunded_than_was_spent() -> None:
    account = account_after(Reserve(order_id=ONE, amount=60), Spend(order_id=ONE), Refund(order_id=ONE, refunded=99))
    assert (account.spent, account.available) == (0, 100)


def test_nothing_is_refunded_that_was_not_spent() -> None:
    assert decide(account_after(Reserve(order_id=ONE, amount=60)), Refund(order_id=ONE, refunded=60)) == []


def test_a_limit_below_what_is_in_use_is_refused_with_the_values_and_the_way_out() -> None:
    account = account_after(Reserve(order_id=ONE, amount=60), Spend(order_id=ONE), Reserve(order_id=TWO, amount=30))
    with pytest.raises(LimitBelowUse, match=r"30 is reserved and 60 spent.*Choose 90 or more") as refusal:
        decide(account, ChangeLimit(89))
    assert refusal.value.extra == {"limit": 89, "reserved": 30, "spent": 60}
    assert carried_out(account, ChangeLimit(90))[0].available == 0


def test_the_same_limit_changes_nothing() -> None:
    assert decide(account_after(), ChangeLimit(100)) == []


def test_orders_that_nobody_asks_about_are_counted_and_not_kept() -> None:
    account = apply(
        Account(member_id=7, version=1, limit=100), CreditReserved(member_id=7, version=2, order_id=ONE, amount=60)
    )
    assert (account.reserved, account.holds) == (60, {})


@pytest.mark.parametrize("version", [1, 3])
def test_an_event_that_is_not_the_next_one_is_not_applied(version: int) -> None:
    with pytest.raises(WrongVersion, match=f"version {version} does not follow 1"):
        apply(account_after(), CreditSpent(member_id=7, version=version, order_id=ONE, amount=1))


order = st.sampled_from(ORDERS)
amount = st.integers(0, 150)
commands = st.one_of(
    st.builds(Open, amount),
    st.builds(ChangeLimit, amount),
    st.builds(Reserve, order_id=order, amount=amount),
    st.builds(Release, order_id=order),
    st.builds(Spend, order_id=order),
    st.builds(Refund, order_id=order, refunded=amount),
)


@given(st.lists(commands, max_size=40))
def test_whatever_happens_no_more_is_in_use_than_the_limit(sequence: list[Command]) -> None:
    account = account_after()
    stream: list[CreditEvent] = decide(Account(member_id=7), Open(100))
    for command in sequence:
        try:
            after, events = carried_out(account, command)
        except LimitBelowUse:
            continue
        assert 0 <= after.in_use <= after.limit
        assert min(after.reserved, after.spent) >= 0
        new = [event for event in events if event.version > account.version]
        assert [event.version for event in new] == list(range(account.version + 1, after.version + 1))
        assert decide(after, command) == (list(events) if isinstance(command, Reserve) else [])
        account, stream = after, stream + new
    assert fold(Account(member_id=7, holds={order: Hold() for order in ORDERS}), stream) == account
    assert account.reserved == sum(hold.amount for hold in account.holds.values() if hold.is_live)
