"""What views need to read of the members."""

from shop.errors import NotFound
from shop.members.models import Member


def member(member_id: int) -> Member:
    """One member. :raises NotFound:"""
    found: Member | None = Member.objects.filter(pk=member_id).first()
    if found is None:
        raise NotFound(f"There is no member {member_id}.", member_id=member_id)
    return found
