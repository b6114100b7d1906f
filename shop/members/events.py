"""The events that the members context publishes."""

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
