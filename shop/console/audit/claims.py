"""The inventory beside the log of the orders, up to its cursors: who claims what."""

from collections.abc import Iterator

from shop.console.audit.evidence import UP_TO, Evidence, Finding, Needs
from shop.console.audit.invariants import Family, invariant
from shop.console.audit.merging import side_by_side
from shop.console.audit.snapshots import Row

# An order may be released before its cancellation arrives: its creation comes marked as annulled, if that is in the
# log already.
HEARD = f"""
SELECT key, bool_or(type = 'orders.order-cancelled') AS cancelled, bool_or(type = 'orders.order-shipped') AS shipped,
       max(lines) FILTER (WHERE type = 'orders.order-created') AS lines,
       (array_agg(lines ORDER BY position DESC) FILTER (WHERE type = 'orders.order-returned'))[1] AS returned, EXISTS (
    SELECT FROM orders_outboxevent AS later WHERE later.key = heard.key AND later.type = 'orders.order-cancelled'
) AS annulled FROM (
    SELECT key COLLATE "C" AS key, position, type, (
        SELECT string_agg((line ->> 'quantity') || ' × ' || (line ->> 'sku'), ', ' ORDER BY line ->> 'sku' COLLATE "C")
        FROM jsonb_array_elements(data -> 'lines') AS line
    ) AS lines
    FROM orders_outboxevent AS e {UP_TO}
    WHERE type IN ('orders.order-created', 'orders.order-cancelled', 'orders.order-shipped', 'orders.order-returned')
) AS heard GROUP BY key ORDER BY key
"""

CLAIMED = """
SELECT order_id::text AS key, status, string_agg(quantity || ' × ' || sku, ', ' ORDER BY sku COLLATE "C") AS lines,
       string_agg(returned || ' × ' || sku, ', ' ORDER BY sku COLLATE "C") FILTER (WHERE returned > 0) AS returned
FROM inventory_claim LEFT JOIN inventory_reservation ON claim_id = order_id GROUP BY order_id ORDER BY order_id
"""


@invariant("claims.orders", "Each order that the inventory heard of has the claim that follows from what it heard.")
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
                    "shipped": order and order["shipped"],
                    "returned": order and order["returned"],
                    "came_back": claim and claim["returned"],
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
    if order["shipped"] and claim["status"] != "shipped":
        return "shipped, and still in stock"
    if claim["status"] == "shipped" and not order["shipped"]:
        return "left the stock, not shipped"
    if order["returned"] != claim["returned"]:
        return "something else came back than was returned"
    # Nothing was reserved for an order that failed, or was cancelled before it was heard of.
    may_hold = {
        "locked": (order["lines"],),
        "shipped": (order["lines"],),
        "released": (order["lines"], None),
        "failed": (None,),
    }
    return None if claim["lines"] in may_hold[claim["status"]] else "holds something else than it ordered"


FAMILIES = (Family("claims", Needs(state=("inventory",), log=("orders",)), (orders,)),)
