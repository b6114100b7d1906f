"""The events that the members context publishes."""

from uuid import UUID

from shop.messaging.events import Event, event


class MemberEvent(Event):
    """The fields of a member that other contexts copy."""

    member_id: int
    name: str
    active: bool
    """Inactive members cannot place orders."""


@event("members.member-joined")
class MemberJoined(MemberEvent):
    """A member joined, and may place orders."""


@event("members.member-changed")
class MemberChanged(MemberEvent):
    """The member's name changed, or whether it is active."""


class CreditEvent(Event):
    """Something that happened to a member's credit account. Amounts are minor units."""

    member_id: int
    version: int
    """Of the account with this event, from 1, without gaps. An answer that is repeated has that of the first."""


@event("members.credit-opened")
class CreditOpened(CreditEvent):
    """The member has a credit account."""

    limit: int


@event("members.credit-limit-changed")
class CreditLimitChanged(CreditEvent):
    """The limit was raised or lowered, never below what is in use."""

    limit: int


class CreditMovement(CreditEvent):
    """What an order did to the account."""

    order_id: UUID
    amount: int


@event("members.credit-reserved")
class CreditReserved(CreditMovement):
    """The answer to an order: its total is reserved."""


@event("members.credit-refused")
class CreditRefused(CreditMovement):
    """The answer to an order: its total, ``amount``, exceeds what is available; nothing is reserved."""

    missing: int


@event("members.credit-released")
class CreditReleased(CreditMovement):
    """The order was cancelled: what was reserved for it is available again."""


@event("members.credit-spent")
class CreditSpent(CreditMovement):
    """The order was shipped: what was reserved for it is spent."""


@event("members.credit-refunded")
class CreditRefunded(CreditMovement):
    """Goods came back: ``amount``, the price of what came back this time, is available again."""
