"""Campaigns: what marketing announced, the orders' copies of it, and who took how much of each."""

from collections.abc import Iterator

from shop.console.audit.copies import compared
from shop.console.audit.evidence import UP_TO, Evidence, Finding, Needs
from shop.console.audit.invariants import Family, invariant
from shop.console.audit.snapshots import Row

DETAILS = ("sku", "price", "starts_at", "ends_at", "limit_per_member", "allotment")

ANNOUNCED = f"""
SELECT key, facts ->> 'sku' AS sku, (facts ->> 'price')::bigint AS price,
       (facts ->> 'starts_at')::timestamptz AS starts_at, (facts ->> 'ends_at')::timestamptz AS ends_at,
       (facts ->> 'limit_per_member')::bigint AS limit_per_member, (facts ->> 'allotment')::bigint AS allotment, state
FROM (
    SELECT key COLLATE "C" AS key,
           (array_agg(data ORDER BY position DESC)
            FILTER (WHERE type IN ('marketing.campaign-scheduled', 'marketing.campaign-changed')))[1] AS facts,
           (array_agg(CASE type WHEN 'marketing.campaign-suspended' THEN 'suspended'
                      WHEN 'marketing.campaign-resumed' THEN 'scheduled' WHEN 'marketing.campaign-ended' THEN 'ended'
                      ELSE data ->> 'state' END ORDER BY position DESC))[1] AS state
    FROM marketing_outboxevent AS e {UP_TO} GROUP BY 1
) AS folded ORDER BY key
"""

CAMPAIGNS = f"""
SELECT {{id}}::text COLLATE "C" AS key, {", ".join(DETAILS)}, state FROM {{table}} ORDER BY 1
"""

# A campaign that is over stays as it was: only those that can still run follow their product.
LISTED = """
SELECT c.id AS campaign_id, c.sku, c.state, p.listed FROM marketing_campaign AS c
LEFT JOIN marketing_productcopy AS p USING (sku)
WHERE c.state <> 'ended' AND c.ends_at > clock_timestamp() AND (c.state = 'scheduled') IS DISTINCT FROM p.listed
"""

TAKINGS = """
WITH held AS (
    SELECT campaign_id, member_id, sum(quantity) AS quantity
    FROM orders_orderline JOIN orders_order AS placed ON placed.id = order_id
    WHERE campaign_id IS NOT NULL AND status <> 'cancelled' GROUP BY campaign_id, member_id
)
SELECT campaign_id, member_id, taken, allowed, coalesce(held.quantity, 0) AS orders_hold
FROM orders_campaigntaking AS taking FULL JOIN held USING (campaign_id, member_id)
WHERE taken IS NULL OR taken > allowed OR taken <> coalesce(held.quantity, 0)
"""

ALLOTMENTS = """
WITH held AS (
    SELECT campaign_id, sum(quantity) AS quantity FROM inventory_reservation
    JOIN inventory_claim ON order_id = claim_id
    WHERE campaign_id IS NOT NULL AND status IN ('locked', 'shipped') GROUP BY campaign_id
)
SELECT campaign_id, taken, allotment, coalesce(held.quantity, 0) AS reservations_hold
FROM inventory_allotment FULL JOIN held USING (campaign_id)
WHERE taken IS NULL OR taken > allotment OR taken <> coalesce(held.quantity, 0)
"""


@invariant("marketing.announced", "Each campaign is as it was announced.")
def announced(evidence: Evidence) -> Iterator[Finding]:
    said = evidence.state["marketing"].stream(ANNOUNCED, evidence.everything("marketing"))
    kept = evidence.state["marketing"].stream(CAMPAIGNS.format(id="id", table="marketing_campaign"))
    return evidence.beside_letters(compared(said, kept))


@invariant("marketing.listed", "A campaign that can still run is suspended exactly while its product is not listed.")
def listed(evidence: Evidence) -> Iterator[Row]:
    return evidence.state["marketing"].stream(LISTED)


@invariant("orders.campaigns", "The orders' copy of each campaign is as marketing announced it.")
def copies(evidence: Evidence) -> Iterator[Finding]:
    said = evidence.log["marketing"].stream(ANNOUNCED, evidence.cursors("orders", "marketing"))
    kept = evidence.state["orders"].stream(CAMPAIGNS.format(id="campaign_id", table="orders_campaigncopy"))
    return evidence.beside_letters(compared(said, kept), ("orders", "marketing"))


@invariant("orders.takings", "What a member took of a campaign is what its orders hold, and within the limit.")
def takings(evidence: Evidence) -> Iterator[Row]:
    return evidence.state["orders"].stream(TAKINGS)


@invariant("stock.allotments", "What is taken of a campaign is what its reservations hold, and within the allotment.")
def allotments(evidence: Evidence) -> Iterator[Row]:
    return evidence.state["inventory"].stream(ALLOTMENTS)


FAMILIES = (
    Family("campaigns", Needs(state=("marketing",)), (announced, listed)),
    Family("copies of campaigns", Needs(state=("orders",), log=("marketing",)), (copies, takings)),
    Family("allotments", Needs(state=("inventory",)), (allotments,)),
)
