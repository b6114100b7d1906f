"""How much of each campaign every member has taken: counted when an order is placed, given back when it is cancelled.

A row for each campaign and member says how many units the member's orders hold, under a constraint. Whoever locks an
existing order and these rows locks the order first, then the rows by campaign and member; who locks both these and a
lane of the outbox locks the lane last.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

from django.db import connections

from orders.events import Line, OrderCancelled
from orders.models import Order
from orders.policies import Sale, beyond_limit
from shop.setwise import arrays

# Returns the campaigns of which the member can have so much. What does not fit raises nothing: the row stays.
TAKE = """
INSERT INTO orders_campaigntaking AS held (campaign_id, member_id, taken, allowed)
SELECT campaign_id, %s, quantity, allowed
FROM unnest(%s::uuid[], %s::bigint[], %s::bigint[]) AS wanted (campaign_id, quantity, allowed)
WHERE quantity <= allowed ORDER BY campaign_id
ON CONFLICT (campaign_id, member_id) DO UPDATE
SET taken = held.taken + excluded.taken, allowed = excluded.allowed
WHERE held.taken + excluded.taken <= excluded.allowed
RETURNING campaign_id
"""

TAKEN = "SELECT campaign_id, taken FROM orders_campaigntaking WHERE member_id = %s AND campaign_id = ANY(%s::uuid[])"

# Locks what orders hold of campaigns, always in the same sequence; returns how much of each is theirs.
HELD = """
SELECT held.id, given.quantity FROM orders_campaigntaking AS held
JOIN (
    SELECT campaign_id, member_id, sum(quantity) AS quantity
    FROM orders_orderline AS line JOIN orders_order AS placed ON placed.id = line.order_id
    WHERE order_id = ANY(%s::uuid[]) AND campaign_id IS NOT NULL GROUP BY campaign_id, member_id
) AS given USING (campaign_id, member_id)
ORDER BY campaign_id, member_id FOR UPDATE OF held
"""

GIVE_BACK = """
UPDATE orders_campaigntaking AS held SET taken = held.taken - given.quantity
FROM unnest(%s::bigint[], %s::bigint[]) AS given (id, quantity) WHERE held.id = given.id
"""


def take(*, member_id: int, lines: Sequence[Line], sales: Mapping[str, Sale]) -> list[dict[str, Any]]:
    """Count these lines against the member's limits; list those that exceed one. Call it in a transaction.

    If it lists any, the caller rolls back: what did fit is counted by then.
    """
    wanted = {line.campaign.id: line for line in lines if line.campaign is not None}
    if not wanted:
        return []
    ids = arrays.of_plain(wanted)
    quantities = arrays.of_plain(line.quantity for line in wanted.values())
    limits = arrays.of_plain(sales[line.sku].limit for line in wanted.values())
    with connections["orders"].cursor() as cursor:
        cursor.execute(TAKE, [member_id, ids, quantities, limits])
        fitting = {row[0] for row in cursor.fetchall()}
        if fitting >= wanted.keys():
            return []
        cursor.execute(TAKEN, [member_id, ids])
        taken: dict[UUID, int] = dict(cursor.fetchall())
    return [
        beyond_limit(line, taken=taken.get(campaign_id, 0), limit=sales[line.sku].limit)
        for campaign_id, line in wanted.items()
        if campaign_id not in fitting
    ]


def give_back(orders: Iterable[Order]) -> None:
    """Give back what these orders hold of campaigns, if they are being cancelled.

    Call it in the transaction that stores the cancellation, before ``store``: an order is cancelled once, so it gives
    back once, however often its participants' answers come.
    """
    cancelled = [order.pk for order in orders if any(isinstance(event, OrderCancelled) for event in order.recorded)]
    if not cancelled:
        return
    with connections["orders"].cursor() as cursor:
        cursor.execute(HELD, [arrays.of_plain(cancelled)])
        if rows := cursor.fetchall():
            ids, quantities = zip(*rows, strict=True)
            cursor.execute(GIVE_BACK, [arrays.of_plain(ids), arrays.of_plain(quantities)])
