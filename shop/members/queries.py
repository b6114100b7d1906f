"""Queries of the members context, for its views and pages."""

from collections.abc import Iterable

from django.conf import settings

from shop.errors import NotFound
from shop.members.credit import stream
from shop.members.credit.account import Account, apply
from shop.members.models import Member, StreamEvent


def member(member_id: int) -> Member:
    """Load one member. :raises NotFound:"""
    member: Member | None = Member.objects.filter(pk=member_id).first()
    if member is None:
        raise NotFound(f"There is no member {member_id}.", member_id=member_id)
    return member


def credit_of(member_id: int) -> Account:
    """Return a member's credit as it is now; for a member whose account is yet to be opened, as it will be then."""
    account = stream.read([member_id]).get(member_id)
    return account or Account(member_id=member_id, limit=settings.NEW_MEMBER_CREDIT)


def credit_of_all(members: Iterable[int]) -> dict[int, Account]:
    """Return the accounts of members as they are now; who has none is left out."""
    return stream.read(members)


def balances(rows: Iterable[StreamEvent]) -> dict[int, Account]:
    """Return what the account was after each of these events, by the row's id.

    What came before each run of consecutive events is summed up in one query for all runs; the run itself is folded.
    """
    ordered = sorted(rows, key=lambda row: (row.member_id, row.version))
    before = [(row.member_id, row.version - 1) for row in ordered]
    states = stream.states_at(set(before) - {(row.member_id, row.version) for row in ordered})
    after: dict[int, Account] = {}
    for row, point in zip(ordered, before, strict=True):
        after[row.pk] = apply(states[point], stream.event_of(row))
        states[row.member_id, row.version] = after[row.pk]
    return after
