"""What the members context says."""

from shop.messaging.events import Event, event


class MemberEvent(Event):
    """What others need to know of a member; they keep a copy."""

    member_id: int
    name: str
    active: bool
    """One that is not places no new orders."""


@event("members.member-joined")
class MemberJoined(MemberEvent):
    """There is a new member, who may place orders."""


@event("members.member-changed")
class MemberChanged(MemberEvent):
    """The member's name is another, or whether it is active."""
