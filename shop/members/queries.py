"""Queries of the members context, for its views."""

from shop.errors import NotFound
from shop.members.models import Member


def member(member_id: int) -> Member:
    """Load one member. :raises NotFound:"""
    member: Member | None = Member.objects.filter(pk=member_id).first()
    if member is None:
        raise NotFound(f"There is no member {member_id}.", member_id=member_id)
    return member
