"""The inventory beside the log of the orders, up to its cursors: who claims what."""

from collections.abc import Iterator

from shop.console.audit.evidence import UP_TO, Evidence, Finding, Needs
from shop.console.audit.invariants import Family, invariant
from shop.console.audit.merging import side_by_side
from shop.console.audit.snapshots import Row

# An order may be released before its cancellation arrives: its creation comes marked as annulled, if that is in the
# log already.
HEARD = f"""
SELECT key, bool_or(type = 'orders.order-cancelled') AS cancelled, max(lines) AS lines, EXISTS (
    SELECT FROM orders_outboxevent AS later WHERE later.key = heard.key AND later.type = 'orders.order-cancelled'
) AS annulled FROM (
    SELECT key COLLATE "C" AS key, type, CASE WHEN type = 'orders.order-created' THEN (
        SELECT string_agg((line ->> 'quantity') || ' × ' || (line ->> 'sku'), ', ' ORDER BY line ->> 'sku' COLLATE "C")
        FROM jsonb_array_elements(data -> 'lines') AS line
    ) END AS lines
    FROM orders_outboxevent AS e {UP_TO} WHERE type IN ('orders.order-created', 'orders.order-cancelled')
) AS heard GROUP BY key ORDER BY key
"""

CLAIMED = """
SELECT order_id::text AS key, status, string_agg(quantity || ' × ' || sku, ', ' ORDER BY sku COLLATE "C") AS lines
FROM inventory_claim LEFT JOIN inventory_reservation ON claim_id = order_id GROUP BY order_id ORDER BY order_id
"""


@invariant("claims.orders", "Each order that the inventory heard of has the claim it asked for, until it is cancelled.")
def orders(evidence: Evidence) -> Iterator[Finding]:
    return evidence.beside_letters(_compared(evidence), ("inventory", "orders"))


def _compared(evidence: Evidence) -> Iterator[tuple[str, Row]]:
    announced = evidence.log["orders"].stream(HEARD, evidence.cursors("inventory", "orders"))
    claimed = evidence.state["inventory"].stream(CLAIMED)
    for key, order, claim in side_by_side(announced, claimed):
        if fault := _fault(order, claim):
            yield (
                key,
                {
                    "order_id": key,
                    "fault": fault,
                    "ordered": order and order["lines"],
                    "cancelled": order and order["cancelled"],
                    "claim": claim and claim["status"],
                    "holds": claim and claim["lines"],
                },
            )


def _fault(order: Row | None, claim: Row | None) -> str | None:
    if order is None:
        return "claimed for an order that was not heard of"
    if claim is None:
        return "heard of, not claimed"
    if order["cancelled"] and claim["status"] == "locked":
        return "cancelled, not released"
    if claim["status"] == "released" and not order["annulled"]:
        return "released, not cancelled"
    # Nothing was reserved for an order that failed, or was cancelled before it was heard of.
    may_hold = {"locked": (order["lines"],), "released": (order["lines"], None), "failed": (None,)}
    return None if claim["lines"] in may_hold[claim["status"]] else "holds something else than it ordered"


FAMILIES = (Family("claims", Needs(state=("inventory",), log=("orders",)), (orders,)),)
