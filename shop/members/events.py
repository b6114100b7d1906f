"""What the members context says."""

from shop.messaging.events import Event, event


@event("members.member-joined")
class MemberJoined(Event):
    """There is a new member, who may place orders."""

    member_id: int
    name: str
    active: bool


@event("members.member-changed")
class MemberChanged(Event):
    """The member's name is another, or whether it is active: one that is not places no new orders."""

    member_id: int
    name: str
    active: bool
