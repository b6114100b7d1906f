"""A credit account as a fold over its events. Pure: no Django, no I/O, no clock.

``decide`` says what a command does to an account as it is now, ``apply`` what an event made of it. Amounts are minor
units. At any version ``reserved + spent <= limit``.
"""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any
from uuid import UUID

import msgspec

from shop.errors import DomainError
from shop.members.events import (
    CreditEvent,
    CreditLimitChanged,
    CreditMovement,
    CreditOpened,
    CreditRefunded,
    CreditRefused,
    CreditReleased,
    CreditReserved,
    CreditSpent,
)


class LimitBelowUse(DomainError):
    """The limit would be lower than what is reserved and spent already."""

    code = "limit_below_use"


class WrongVersion(ValueError):
    """An event does not follow the version that it is applied to: the stream has a gap, or a line twice."""


class Hold(msgspec.Struct, frozen=True, kw_only=True):
    """What one order did to the account so far."""

    answer: CreditReserved | CreditRefused | None = None
    """The first, which every later request gets too."""
    released: bool = False
    spent: bool = False
    refunded: int = 0

    @property
    def amount(self) -> int:
        """What was reserved for the order, whatever became of it."""
        return self.answer.amount if isinstance(self.answer, CreditReserved) else 0

    @property
    def is_live(self) -> bool:
        """Whether the amount is reserved now."""
        return isinstance(self.answer, CreditReserved) and not (self.released or self.spent)


NO_HOLDS: Mapping[UUID, Hold] = MappingProxyType({})


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """A member's credit at a version; 0 is an account that is yet to be opened.

    ``holds`` has the orders that are asked about, and no others: a stream may have 100,000 of them. One that did
    nothing yet has an empty hold.
    """

    member_id: int
    version: int = 0
    limit: int = 0
    reserved: int = 0
    spent: int = 0
    holds: Mapping[UUID, Hold] = NO_HOLDS

    @property
    def in_use(self) -> int:
        return self.reserved + self.spent

    @property
    def available(self) -> int:
        return self.limit - self.in_use


class Open(msgspec.Struct, frozen=True):
    """Open the account, unless it is open."""

    limit: int


class ChangeLimit(msgspec.Struct, frozen=True):
    """Raise or lower the limit."""

    limit: int


class OrderCommand(msgspec.Struct, frozen=True, kw_only=True):
    """What happens because of an order, which must be among the account's ``holds``."""

    order_id: UUID


class Reserve(OrderCommand, frozen=True, kw_only=True):
    """Answer an order: reserve its total, or refuse."""

    amount: int


class Release(OrderCommand, frozen=True, kw_only=True):
    """The order was cancelled."""


class Spend(OrderCommand, frozen=True, kw_only=True):
    """The order was shipped."""


class Refund(OrderCommand, frozen=True, kw_only=True):
    """Goods came back; ``refunded`` is what all that came back so far cost."""

    refunded: int


Command = Open | ChangeLimit | Reserve | Release | Spend | Refund


def decide(account: Account, command: Command) -> list[CreditEvent]:
    """Return what the command does; nothing if it was done before.

    The answer to an order that was answered is the first one, with its version: to be announced again, not applied.

    :raises LimitBelowUse: if the new limit is below what is reserved and spent.
    """
    header: dict[str, Any] = {"member_id": account.member_id, "version": account.version + 1}
    match command:
        case Open(limit=limit):
            return [] if account.version else [CreditOpened(**header, limit=limit)]
        case ChangeLimit(limit=limit):
            if limit < account.in_use:
                raise _below_use(account, limit)
            return [] if limit == account.limit else [CreditLimitChanged(**header, limit=limit)]
        case (
            Reserve(order_id=order_id)
            | Release(order_id=order_id)
            | Spend(order_id=order_id)
            | Refund(order_id=order_id)
        ):
            header["order_id"] = order_id
            return _decide_for_order(header, account.available, account.holds[order_id], command)


def _decide_for_order(
    header: dict[str, Any], available: int, hold: Hold, command: Reserve | Release | Spend | Refund
) -> list[CreditEvent]:
    match command:
        case Reserve() if hold.answer is not None:
            return [hold.answer]
        case Reserve(amount=amount) if amount > available:
            return [CreditRefused(**header, amount=amount, missing=amount - available)]
        case Reserve(amount=amount):
            return [CreditReserved(**header, amount=amount)]
        case Release() if hold.is_live:
            return [CreditReleased(**header, amount=hold.amount)]
        case Spend() if hold.is_live:
            return [CreditSpent(**header, amount=hold.amount)]
        case Refund(refunded=refunded) if hold.spent and min(refunded, hold.amount) > hold.refunded:
            return [CreditRefunded(**header, amount=min(refunded, hold.amount) - hold.refunded)]
    return []


def apply(account: Account, event: CreditEvent) -> Account:
    """Return the account after the event.

    :raises WrongVersion: unless the event is the next one.
    """
    if event.version != account.version + 1:
        raise WrongVersion(f"Account {account.member_id}: version {event.version} does not follow {account.version}.")
    limit, reserved, spent, holds = account.limit, account.reserved, account.spent, account.holds
    match event:
        case CreditOpened() | CreditLimitChanged():
            limit = event.limit
        case CreditReserved(amount=amount):
            reserved += amount
        case CreditReleased(amount=amount):
            reserved -= amount
        case CreditSpent(amount=amount):
            reserved, spent = reserved - amount, spent + amount
        case CreditRefunded(amount=amount):
            spent -= amount
    if isinstance(event, CreditMovement) and event.order_id in holds:
        holds = {**holds, event.order_id: hold_after(holds[event.order_id], event)}
    return Account(
        member_id=account.member_id, version=event.version, limit=limit, reserved=reserved, spent=spent, holds=holds
    )


def hold_after(hold: Hold, event: CreditMovement) -> Hold:
    """Return what the order did to the account, this event included."""
    match event:
        case CreditReserved() | CreditRefused():
            return msgspec.structs.replace(hold, answer=event)
        case CreditReleased():
            return msgspec.structs.replace(hold, released=True)
        case CreditSpent():
            return msgspec.structs.replace(hold, spent=True)
        case CreditRefunded(amount=amount):
            return msgspec.structs.replace(hold, refunded=hold.refunded + amount)
    return hold


def fold(account: Account, events: Iterable[CreditEvent]) -> Account:
    """Apply events in their order. :raises WrongVersion:"""
    for event in events:
        account = apply(account, event)
    return account


def _below_use(account: Account, limit: int) -> LimitBelowUse:
    return LimitBelowUse(
        f"{account.reserved} is reserved and {account.spent} spent, {account.in_use} together: the limit cannot be "
        f"{limit}. Choose {account.in_use} or more, or cancel orders first.",
        limit=limit,
        reserved=account.reserved,
        spent=account.spent,
    )
