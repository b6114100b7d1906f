"""A credit account folded anew from version 0, for operators who doubt its snapshot."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from shop.members.credit import stream
from shop.members.credit.account import Account, apply
from shop.members.events import CreditEvent, CreditLimitChanged, CreditMovement, CreditOpened
from shop.members.models import StreamEvent


class Line(NamedTuple):
    """An event of the stream, and the account after it."""

    event: CreditEvent
    at: datetime
    after: Account

    @property
    def kind(self) -> str:
        return str(StreamEvent.Type(self.event.wire_name).label)

    @property
    def amount(self) -> int:
        """What the event is about, in minor units: the new limit, or what an order moved or asked for."""
        event = self.event
        if isinstance(event, CreditOpened | CreditLimitChanged):
            return event.limit
        return event.amount if isinstance(event, CreditMovement) else 0

    @property
    def order_id(self) -> UUID | None:
        return self.event.order_id if isinstance(self.event, CreditMovement) else None

    def as_json(self) -> dict[str, Any]:
        return {"at": self.at, "kind": self.kind, "amount": self.amount, "order": self.order_id, **balance(self.after)}


def lines_of(member_id: int, *, through: int | None) -> Iterator[Line]:
    """Yield the lines of an account up to a version, oldest first, with the balance after each.

    :raises WrongVersion: where the stream has a gap.
    """
    account = Account(member_id=member_id)
    for event, at in stream.events_of(member_id):
        if through is not None and event.version > through:
            return  # it was written meanwhile
        account = apply(account, event)
        yield Line(event, at, account)


def stored(member_id: int) -> Account | None:
    """Return what the snapshot and the events after it give; ``None`` if there is no account.

    :raises WrongVersion: if they do not fit together.
    """
    return stream.read([member_id]).get(member_id)


def balance(account: Account) -> dict[str, int]:
    """Return an account's numbers, in minor units."""
    return {
        "version": account.version,
        "limit": account.limit,
        "reserved": account.reserved,
        "spent": account.spent,
        "available": account.available,
    }
