"""Commands on members and their credit."""

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

from django.conf import settings
from django.contrib.auth.models import User
from django.db import IntegrityError, connections, transaction
from rest_framework.authtoken.models import Token

from shop.databases import database_time
from shop.errors import DomainError, NotFound
from shop.members.credit.account import Account, ChangeLimit
from shop.members.credit.stream import Accounts, retrying, store_with_accounts
from shop.members.models import CreditAccount, Member
from shop.messaging.aggregates import store
from shop.messaging.producer.partitions import PartitionMissing

PAGE = 1000  # accounts that one transaction opens, at most

# The next members without an account.
WITHOUT_ACCOUNT = """
SELECT user_id FROM members_member
WHERE user_id > %s AND NOT EXISTS (SELECT FROM members_creditaccount WHERE member_id = user_id)
ORDER BY user_id LIMIT %s
"""


class NameTaken(DomainError):
    """A user with this name exists."""

    code = "name_taken"


def join(*, username: str, name: str, password: str | None = None, email: str = "") -> Member:
    """Create a user, its API token, its member and the member's credit account, in one transaction.

    :raises NameTaken: also if another request takes the name at the same time.
    """
    username = User.normalize_username(username)

    def work() -> Member:
        user = User.objects.create_user(username, email=email, password=password)
        Token.objects.create(user=user)
        member = Member.join(user=user, name=name)
        store_with_accounts(member, *_credit_of_new(user.pk))
        return member

    try:
        return retrying(work)
    except IntegrityError:
        if not User.objects.filter(username=username).exists():
            raise
        raise NameTaken(f"There is already a user {username!r}: choose another name.", username=username) from None


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


def change_limit(*, member_id: int, limit: int) -> Account:
    """Raise or lower a member's credit limit, in minor units; return the account.

    :raises NotFound: :raises LimitBelowUse: :raises VersionConflict:
    """

    def work() -> Account:
        at = database_time("default")
        accounts = Accounts(members=[member_id])
        account = accounts.get(member_id)
        if account is None:
            if not Member.objects.filter(pk=member_id).exists():
                raise NotFound(f"There is no member {member_id}.", member_id=member_id)
            account = accounts.open(member_id, limit=settings.NEW_MEMBER_CREDIT, at=at)
        account.handle(ChangeLimit(limit), at=at)
        store_with_accounts(*accounts.changed())
        return account.state

    return retrying(work)


def accounts_for(orders: Mapping[UUID, int | None], *, at: datetime) -> Accounts:
    """Lock the accounts of these orders, and open those that members lack; call it in a transaction.

    A member may lack one because an older web process let it join. One that this database does not have, since it
    was restored, gets an account without credit, which refuses.

    :param orders: each with the member who placed it, if it is to be answered.
    """
    accounts = Accounts(orders=orders)
    if lacking := {member for member in orders.values() if member is not None and accounts.get(member) is None}:
        known = set(Member.objects.filter(pk__in=lacking).values_list("pk", flat=True))
        for member_id in sorted(lacking):
            accounts.open(member_id, limit=settings.NEW_MEMBER_CREDIT if member_id in known else 0, at=at)
    return accounts


def open_accounts() -> int:
    """Open an account for each member who has none, a thousand at a time; return how many.

    Several may run at once, beside anything else, and one that was interrupted is run again.
    """
    opened, after = 0, 0
    while True:
        try:
            page = retrying(lambda after=after: _open_page(after))  # type: ignore[misc]
        except PartitionMissing:  # it was made
            continue
        if not page:
            return opened
        opened, after = opened + len(page), page[-1]


def _open_page(after: int) -> list[int]:
    with connections["default"].cursor() as cursor:
        # One at a time: another run's accounts are then seen, instead of being in conflict with this one's.
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext('open credit accounts'))")
        cursor.execute(WITHOUT_ACCOUNT, [after, PAGE])
        members = [row[0] for row in cursor.fetchall()]
    accounts, at = Accounts(), database_time("default")
    for member_id in members:
        accounts.open(member_id, limit=settings.NEW_MEMBER_CREDIT, at=at)
    store_with_accounts(*accounts.changed())
    return members


def _credit_of_new(member_id: int) -> list[CreditAccount]:
    """Open a new member's account; one that orders opened, since this database was restored, is kept and raised."""
    at = database_time("default")
    accounts = Accounts(members=[member_id])
    account = accounts.get(member_id)
    if account is None:
        accounts.open(member_id, limit=settings.NEW_MEMBER_CREDIT, at=at)
    elif account.state.limit < settings.NEW_MEMBER_CREDIT:
        account.handle(ChangeLimit(settings.NEW_MEMBER_CREDIT), at=at)
    return accounts.changed()
