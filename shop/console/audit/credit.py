"""Members' credit: each account within itself, and beside the log of the orders, up to the members' cursors."""

from collections.abc import Iterator

from shop.console.audit.evidence import UP_TO, Evidence, Finding, Needs
from shop.console.audit.invariants import Family, invariant
from shop.console.audit.merging import side_by_side
from shop.console.audit.snapshots import Row

# What each event does to (limit, reserved, spent): a limit replaces the one before, amounts are added.
EFFECTS = """
effect (type, on_reserved, on_spent) AS (
    VALUES ('members.credit-opened', 0, 0), ('members.credit-limit-changed', 0, 0),
           ('members.credit-reserved', 1, 0), ('members.credit-refused', 0, 0), ('members.credit-released', -1, 0),
           ('members.credit-spent', -1, 1), ('members.credit-refunded', 0, -1)
), moved AS (
    SELECT member_id, version, type, effect.type IS NULL AS unknown, (data ->> 'limit')::bigint AS new_limit,
           coalesce((data ->> 'amount')::bigint, 0) * on_reserved AS to_reserved,
           coalesce((data ->> 'amount')::bigint, 0) * on_spent AS to_spent
    FROM members_streamevent LEFT JOIN effect USING (type)
), folded AS (
    SELECT member_id, version, type, unknown, new_limit,
           sum(to_reserved) OVER stream AS reserved, sum(to_spent) OVER stream AS spent,
           count(new_limit) OVER stream AS limits, row_number() OVER stream AS number
    FROM moved WINDOW stream AS (PARTITION BY member_id ORDER BY version)
), balance AS (
    SELECT member_id, version, type, unknown, number, reserved, spent,
           max(new_limit) OVER (PARTITION BY member_id, limits) AS "limit"
    FROM folded
)
"""

VERSIONS = """
SELECT member_id, count(e.version) AS events, min(e.version) AS first, max(e.version) AS last,
       max(account.version) AS snapshot
FROM members_streamevent AS e FULL JOIN members_creditaccount AS account USING (member_id)
GROUP BY member_id
HAVING count(e.version) = 0 OR min(e.version) <> 1 OR max(e.version) <> count(DISTINCT e.version)
    OR count(DISTINCT e.version) <> count(e.version) OR max(account.version) IS NULL
    OR max(account.version) > max(e.version)
"""

LIMITS = f"""
WITH {EFFECTS}
SELECT member_id, version, type, "limit", reserved, spent FROM balance
WHERE unknown OR ("limit" >= reserved + spent AND reserved >= 0 AND spent >= 0) IS NOT TRUE
"""

SNAPSHOTS = f"""
WITH {EFFECTS}
SELECT member_id, account.version, account."limit", account.reserved, account.spent, balance."limit" AS folded_limit,
       balance.reserved AS folded_reserved, balance.spent AS folded_spent
FROM members_creditaccount AS account LEFT JOIN balance USING (member_id, version)
WHERE balance.version IS NOT NULL
  AND (account."limit", account.reserved, account.spent) <> (balance."limit", balance.reserved, balance.spent)
"""

# Answers are announced again when an order is heard again; all else once.
ANNOUNCED = """
WITH said AS (
    SELECT (data ->> 'member_id')::bigint AS member_id, (data ->> 'version')::bigint AS version,
           count(DISTINCT (type, data)) AS different, count(*) AS times, min(type) AS type, min(data::text) AS data,
           bool_and(key = data ->> 'member_id') AS under_its_key
    FROM members_outboxevent WHERE starts_with(type, 'members.credit-') GROUP BY 1, 2
)
SELECT member_id, version, e.type, said.type AS said, coalesce(times, 0) AS times
FROM members_streamevent AS e FULL JOIN said USING (member_id, version)
WHERE e.id IS NULL OR times IS NULL OR different > 1 OR NOT under_its_key OR e.type <> said.type
   OR e.data::text <> said.data
   OR (times > 1 AND e.type NOT IN ('members.credit-reserved', 'members.credit-refused'))
"""

# An order may be marked as annulled when it is sent, if its cancellation is in the log already.
HEARD = f"""
SELECT key, bool_or(type = 'orders.order-created') AS created, max((data ->> 'member_id')::bigint) AS member_id,
       max((data ->> 'total')::bigint) AS total, bool_or(data -> 'participants' ? 'members') AS named,
       bool_or(type = 'orders.order-cancelled') AS cancelled, bool_or(type = 'orders.order-shipped') AS shipped,
       coalesce(max((data ->> 'refunded')::bigint), 0) AS refunded, EXISTS (
           SELECT FROM orders_outboxevent AS later
           WHERE later.key = heard.key AND later.type = 'orders.order-cancelled'
       ) AS annulled
FROM (
    SELECT key COLLATE "C" AS key, type, data FROM orders_outboxevent AS e {UP_TO}
    WHERE type IN ('orders.order-created', 'orders.order-cancelled', 'orders.order-shipped', 'orders.order-returned')
) AS heard GROUP BY key ORDER BY key
"""

TAKEN = """
SELECT order_id::text AS key, min(member_id) AS member_id, count(DISTINCT member_id) AS accounts,
       max((data ->> 'amount')::bigint) FILTER (WHERE type = 'members.credit-reserved') AS reserved,
       max((data ->> 'amount')::bigint) FILTER (WHERE type = 'members.credit-refused') AS refused,
       max((data ->> 'amount')::bigint) FILTER (WHERE type = 'members.credit-released') AS released,
       max((data ->> 'amount')::bigint) FILTER (WHERE type = 'members.credit-spent') AS spent,
       coalesce(sum((data ->> 'amount')::bigint) FILTER (WHERE type = 'members.credit-refunded'), 0) AS refunded,
       count(*) FILTER (WHERE type <> 'members.credit-refunded') AS steps
FROM members_streamevent WHERE order_id IS NOT NULL GROUP BY order_id ORDER BY order_id
"""


@invariant("credit.versions", "Each credit account's stream begins with version 1, has no gaps, and a snapshot of it.")
def versions(evidence: Evidence) -> Iterator[Row]:
    return evidence.state["members"].stream(VERSIONS)


@invariant("credit.limits", "At no version of an account is more reserved and spent than its limit, or less than none.")
def limits(evidence: Evidence) -> Iterator[Row]:
    return evidence.state["members"].stream(LIMITS)


@invariant("credit.snapshots", "Each account's snapshot is the fold of its stream up to the snapshot's version.")
def snapshots(evidence: Evidence) -> Iterator[Row]:
    return evidence.state["members"].stream(SNAPSHOTS)


@invariant("credit.announced", "Each event of a stream was announced as it is, and nothing else about credit.")
def announced(evidence: Evidence) -> Iterator[Row]:
    return evidence.state["members"].stream(ANNOUNCED)


@invariant("credit.orders", "Each order that names the members has the credit that follows from what they heard of it.")
def orders(evidence: Evidence) -> Iterator[Finding]:
    return evidence.beside_letters(_compared(evidence), ("members", "orders"))


def _compared(evidence: Evidence) -> Iterator[tuple[str, Row]]:
    heard = evidence.log["orders"].stream(HEARD, evidence.cursors("members", "orders"))
    taken = evidence.state["members"].stream(TAKEN)
    for key, order, credit in side_by_side(heard, taken):
        if fault := _fault(order, credit):
            yield (
                key,
                {
                    "order_id": key,
                    "fault": fault,
                    "member_id": (order or credit or {})["member_id"],
                    **{name: order and order[name] for name in ("total", "cancelled", "shipped")},
                    **{name: credit and credit[name] for name in ("reserved", "refused", "released", "spent")},
                    "refunded": credit and credit["refunded"],
                    "to_refund": order and order["refunded"],
                },
            )


def _fault(order: Row | None, credit: Row | None) -> str | None:
    if order is None:
        return "took credit for an order that was not heard of"
    if credit is None:
        return "heard of, not answered" if order["created"] and order["named"] and not order["annulled"] else None
    if not order["named"]:
        return "took credit, though it does not name the members"
    if credit["accounts"] != 1 or credit["member_id"] != order["member_id"]:
        return "took another member's credit"
    if (credit["reserved"] is None) == (credit["refused"] is None):
        return "has no answer, or two"
    if (credit["refused"] if credit["reserved"] is None else credit["reserved"]) != order["total"]:
        return "was answered for another total"
    return _fault_of_end(order, credit)


def _fault_of_end(order: Row, credit: Row) -> str | None:
    """Compare what became of the amount with what became of the order."""
    held = credit["reserved"]
    ended = {
        "released": held if order["cancelled"] else None,
        "spent": held if order["shipped"] else None,
    }
    for what, amount in ended.items():
        if credit[what] != amount:
            return f"{what} {credit[what]}, not {amount}"
    if order["shipped"] and held is None:
        return "shipped, though it was refused"
    refundable = min(order["refunded"], held or 0)
    if credit["refunded"] != refundable:
        return f"refunded {credit['refunded']}, not {refundable}"
    return None if credit["steps"] == 1 + sum(amount is not None for amount in ended.values()) else "took a step twice"


FAMILIES = (
    Family("credit", Needs(state=("members",)), (versions, limits, snapshots, announced)),
    Family("credit of orders", Needs(state=("members",), log=("orders",)), (orders,)),
)
