"""Commands on members."""

from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from rest_framework.authtoken.models import Token

from shop.errors import DomainError, NotFound
from shop.members.models import Member
from shop.messaging.aggregates import store


class NameTaken(DomainError):
    """A user with this name exists."""

    code = "name_taken"


def join(*, username: str, name: str, password: str | None = None, email: str = "") -> Member:
    """Create a user, its API token and its member, in one transaction.

    :raises NameTaken: also if another request takes the name at the same time.
    """
    username = User.normalize_username(username)
    try:
        with transaction.atomic(using="default"):
            user = User.objects.create_user(username, email=email, password=password)
            Token.objects.create(user=user)
            member = Member.join(user=user, name=name)
            store(member)
    except IntegrityError:
        if not User.objects.filter(username=username).exists():
            raise
        raise NameTaken(f"There is already a user {username!r}: choose another name.", username=username) from None
    return member


def change_member(*, member_id: int, name: str | None = None, active: bool | None = None) -> Member:
    """Rename, deactivate or reactivate a member. :raises NotFound:"""
    with transaction.atomic(using="default"):
        member: Member | None = Member.objects.select_for_update().filter(pk=member_id).first()
        if member is None:
            raise NotFound(f"There is no member {member_id}.", member_id=member_id)
        member.change(name=name, active=active)
        if member.recorded:
            store(member)
    return member
