"""The streams of credit accounts: loaded and stored set-wise, for any number of accounts.

Rows are locked in the order of their keys, so that batches of two lanes that share members wait for each other
instead of failing. What ensures that no version is written twice is the unique constraint: whoever comes by another
way gets a :class:`VersionConflict`.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any, NamedTuple, TypeVar
from uuid import UUID

import msgspec
from django.db import IntegrityError, OperationalError, connections, transaction

from shop.members.credit.account import NO_HOLDS, Account, Hold, Open, fold, hold_after
from shop.members.events import (
    CreditEvent,
    CreditLimitChanged,
    CreditMovement,
    CreditOpened,
    CreditRefunded,
    CreditReleased,
    CreditReserved,
    CreditSpent,
)
from shop.members.models import CreditAccount, StreamEvent
from shop.messaging.aggregates import Aggregate, store
from shop.messaging.events import event_type
from shop.messaging.sqlstates import violated_unique
from shop.setwise import arrays

T = TypeVar("T")

TRIES = 5  # of a command that meets version conflicts

VERSIONS = ("members_streamevent_version", "members_creditaccount_pkey")

# An order belongs to one account for good, so what is found before the lock holds after it.
LOCK = """
SELECT member_id, version, "limit", reserved, spent FROM members_creditaccount
WHERE member_id = ANY(%(members)s::bigint[])
   OR member_id IN (SELECT member_id FROM members_streamevent WHERE order_id = ANY(%(orders)s::uuid[]))
ORDER BY member_id FOR UPDATE
"""

# The events after each snapshot, and the earlier ones of some orders.
LOAD = """
WITH snapshot (member_id, version) AS MATERIALIZED (
    SELECT * FROM unnest(%(members)s::bigint[], %(versions)s::bigint[])
)
SELECT event.type, event.data::text FROM snapshot CROSS JOIN LATERAL (
    SELECT version, type, data FROM members_streamevent AS e
    WHERE e.member_id = snapshot.member_id AND e.version > snapshot.version
) AS event
UNION ALL
SELECT e.type, e.data::text FROM members_streamevent AS e JOIN snapshot USING (member_id)
WHERE e.order_id = ANY(%(orders)s::uuid[]) AND e.version <= snapshot.version
"""

# One statement, so that the row and the events behind it are of one instant.
READ = """
SELECT member_id, version, "limit", reserved, spent, coalesce((
    SELECT jsonb_agg(jsonb_build_array(type, data) ORDER BY e.version) FROM members_streamevent AS e
    WHERE e.member_id = account.member_id AND e.version > account.version
), '[]')::text
FROM members_creditaccount AS account WHERE member_id = ANY(%(members)s::bigint[])
"""

STREAM = """
SELECT version, type, data::text, at FROM members_streamevent
WHERE member_id = %(member)s AND version > %(after)s ORDER BY version LIMIT %(limit)s
"""

STATES = """
SELECT asked.member_id, asked.version, state.* FROM unnest(%(members)s::bigint[], %(versions)s::bigint[])
AS asked (member_id, version) CROSS JOIN LATERAL (
    SELECT coalesce((array_agg((data ->> 'limit')::bigint ORDER BY version DESC)
                     FILTER (WHERE type IN (%(opened)s, %(changed)s)))[1], 0),
           coalesce(sum(CASE WHEN type = %(reserved)s THEN amount
                             WHEN type IN (%(released)s, %(spent)s) THEN -amount END), 0)::bigint,
           coalesce(sum(CASE type WHEN %(spent)s THEN amount WHEN %(refunded)s THEN -amount END), 0)::bigint
    FROM members_streamevent AS e CROSS JOIN LATERAL (SELECT (data ->> 'amount')::bigint) AS moved (amount)
    WHERE e.member_id = asked.member_id AND e.version <= asked.version
) AS state
"""

TYPES = {
    "opened": CreditOpened.wire_name,
    "changed": CreditLimitChanged.wire_name,
    "reserved": CreditReserved.wire_name,
    "released": CreditReleased.wire_name,
    "spent": CreditSpent.wire_name,
    "refunded": CreditRefunded.wire_name,
}

NO_ORDERS: Mapping[UUID, int | None] = MappingProxyType({})

PAGE = 5000  # events that a whole stream is read by at a time


class VersionConflict(OperationalError):
    """Another process wrote to the account at the same time; nothing was written. Try again."""


class Snapshot(NamedTuple):
    """A row: what the account was at a version."""

    member_id: int
    version: int
    limit: int
    reserved: int
    spent: int

    def account(self, holds: Mapping[UUID, Hold] = NO_HOLDS) -> Account:
        return Account(**self._asdict(), holds=holds)


class Accounts:
    """The accounts of some members and orders, locked. Call it in a transaction."""

    def __init__(self, *, members: Iterable[int] = (), orders: Mapping[UUID, int | None] = NO_ORDERS) -> None:
        """Lock and load, in two queries for any number of accounts.

        :param orders: the orders that commands will be about, each with its member if that is known.
        """
        self.member_of = {order: member for order, member in orders.items() if member is not None}
        """The member whose account an order is held by, or is to be."""
        wanted = {*members, *self.member_of.values()}
        asked = {"members": arrays.of_plain(wanted), "orders": arrays.of_plain(orders)}
        with connections["default"].cursor() as cursor:
            cursor.execute(LOCK, asked)
            snapshots = {row[0]: Snapshot(*row) for row in cursor.fetchall()}
            asked["members"] = arrays.of_plain(snapshots)
            asked["versions"] = arrays.of_plain(each.version for each in snapshots.values())
            events: list[CreditEvent] = []
            if snapshots:
                cursor.execute(LOAD, asked)
                events = [decoded(*row) for row in cursor.fetchall()]
        self._holds = self._holds_before(snapshots, events, orders.keys())
        tails: dict[int, list[CreditEvent]] = {}
        for event in events:
            if event.version > snapshots[event.member_id].version:
                tails.setdefault(event.member_id, []).append(event)
        self._accounts: dict[int, CreditAccount] = {}
        for member_id, snapshot in snapshots.items():
            tail = sorted(tails.get(member_id, ()), key=lambda event: event.version)
            state = fold(snapshot.account(self._holds.get(member_id, NO_HOLDS)), tail)
            self._accounts[member_id] = CreditAccount.of(state, snapshot=snapshot.version)

    def _holds_before(
        self, snapshots: Mapping[int, Snapshot], events: Iterable[CreditEvent], orders: Collection[UUID]
    ) -> dict[int, dict[UUID, Hold]]:
        """Return what each of the orders had done at its account's snapshot, by account."""
        movements = [event for event in events if isinstance(event, CreditMovement) and event.order_id in orders]
        self.member_of |= {event.order_id: event.member_id for event in movements}
        holds: dict[int, dict[UUID, Hold]] = {}
        for order_id, member_id in self.member_of.items():
            holds.setdefault(member_id, {})[order_id] = Hold()
        for event in sorted(movements, key=lambda event: event.version):
            if event.version <= snapshots[event.member_id].version:
                held = holds[event.member_id]
                held[event.order_id] = hold_after(held[event.order_id], event)
        return holds

    def get(self, member_id: int) -> CreditAccount | None:
        """Return a member's account, if it has one."""
        return self._accounts.get(member_id)

    def of_order(self, order_id: UUID) -> CreditAccount | None:
        """Return the account that an order took part in, if it did in any."""
        return self._accounts.get(self.member_of.get(order_id, 0))

    def open(self, member_id: int, *, limit: int, at: datetime) -> CreditAccount:
        """Open an account for a member who has none."""
        account = CreditAccount.of(
            Account(member_id=member_id, holds=self._holds.get(member_id, NO_HOLDS)), snapshot=None
        )
        account.handle(Open(limit), at=at)
        self._accounts[member_id] = account
        return account

    def changed(self) -> list[CreditAccount]:
        """Return the accounts to store, in the order of their keys."""
        return [self._accounts[key] for key in sorted(self._accounts) if self._accounts[key].recorded]


def store_with_accounts(*aggregates: Aggregate) -> None:
    """``store``, for aggregates among which are accounts. :raises VersionConflict:"""
    try:
        store(*aggregates)
    except IntegrityError as error:
        if violated_unique(error) not in VERSIONS:
            raise
        raise VersionConflict("Another process wrote to the same credit account at the same time.") from error


def retrying(command: Callable[[], T]) -> T:
    """Run a command in a transaction of its own; again if it meets a version conflict, a few times.

    :raises VersionConflict: at the last try; over HTTP it is answered 503.
    """
    for remaining in reversed(range(TRIES)):
        try:
            with transaction.atomic(using="default"):
                return command()
        except VersionConflict:
            if not remaining:
                raise
    raise AssertionError("unreachable")


def read(members: Iterable[int]) -> dict[int, Account]:
    """Return members' accounts as they are now, without a lock, by member; who has none is left out.

    :raises WrongVersion: if a stream does not go on where its snapshot ends.
    """
    with connections["default"].cursor() as cursor:
        cursor.execute(READ, {"members": arrays.of_plain(members)})
        rows = cursor.fetchall()
    accounts = {}
    for *snapshot, tail in rows:
        events = (decoded(*event) for event in msgspec.json.decode(tail, type=list[tuple[str, msgspec.Raw]]))
        accounts[snapshot[0]] = fold(Snapshot(*snapshot).account(), events)
    return accounts


def events_of(member_id: int, *, after: int = 0) -> Iterator[tuple[CreditEvent, datetime]]:
    """Yield the events of an account after a version, each with its time, some thousands at a time."""
    while True:
        with connections["default"].cursor() as cursor:
            cursor.execute(STREAM, {"member": member_id, "after": after, "limit": PAGE})
            page = cursor.fetchall()
        yield from ((decoded(type, data), at) for _, type, data, at in page)
        if len(page) < PAGE:
            return
        after = page[-1][0]


def states_at(points: Collection[tuple[int, int]]) -> dict[tuple[int, int], Account]:
    """Return what accounts were at some (member, version) each, by sums over the stream up to there."""
    asked = {
        "members": arrays.of_plain(member for member, _ in points),
        "versions": arrays.of_plain(version for _, version in points),
        **TYPES,
    }
    with connections["default"].cursor() as cursor:
        cursor.execute(STATES, asked)
        return {(row[0], row[1]): Snapshot(*row).account() for row in cursor.fetchall()}


def decoded(type: str, data: str | msgspec.Raw) -> CreditEvent:
    """Return an event of a stream from its JSON."""
    event: Any = msgspec.json.decode(data, type=event_type(type))
    assert isinstance(event, CreditEvent)
    return event


def event_of(row: StreamEvent) -> CreditEvent:
    """Return the event that a row of a stream holds."""
    event: Any = msgspec.convert(row.data, event_type(row.type))
    assert isinstance(event, CreditEvent)
    return event
