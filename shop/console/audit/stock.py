"""The inventory within itself: items, ledger, reservations, and what it announced, in one snapshot."""

from collections.abc import Iterator

from shop.console.audit.evidence import Evidence, Needs
from shop.console.audit.invariants import Family, invariant
from shop.console.audit.snapshots import Row

LEDGER = """
WITH effect (kind, on_available, on_reserved) AS (
    VALUES ('received', 1, 0), ('adjusted', 1, 0), ('reserved', -1, 1), ('released', 1, -1), ('shipped', 0, -1),
           ('returned', 1, 0)
), sums AS (
    SELECT sku, sum(quantity * coalesce(on_available, 0)) AS available,
           sum(quantity * coalesce(on_reserved, 0)) AS reserved,
           string_agg(DISTINCT kind, ', ') FILTER (WHERE on_available IS NULL) AS unknown_kinds
    FROM inventory_stockmovement LEFT JOIN effect USING (kind) GROUP BY sku
)
SELECT sku, item.available, item.reserved, sums.available AS moved_available, sums.reserved AS moved_reserved,
       unknown_kinds
FROM inventory_stockitem AS item FULL JOIN sums USING (sku)
WHERE item.sku IS NULL OR item.available < 0 OR item.reserved < 0 OR unknown_kinds IS NOT NULL
   OR item.available <> coalesce(sums.available, 0) OR item.reserved <> coalesce(sums.reserved, 0)
"""

RESERVED = """
WITH live AS (
    SELECT sku, sum(quantity) AS quantity FROM inventory_reservation AS held
    JOIN inventory_claim AS claim ON claim.order_id = held.claim_id WHERE claim.status = 'locked' GROUP BY sku
)
SELECT sku, item.reserved, coalesce(live.quantity, 0) AS live_reservations
FROM inventory_stockitem AS item FULL JOIN live USING (sku)
WHERE item.sku IS NULL OR item.reserved <> coalesce(live.quantity, 0)
"""

MOVED = """
WITH held AS (
    SELECT claim_id AS order_id, sku, quantity, returned, status FROM inventory_reservation
    LEFT JOIN inventory_claim ON order_id = claim_id
), moved AS (
    SELECT order_id, sku, sum(quantity) FILTER (WHERE kind = 'reserved') AS reserved,
           sum(quantity) FILTER (WHERE kind = 'released') AS released,
           sum(quantity) FILTER (WHERE kind = 'shipped') AS shipped,
           coalesce(sum(quantity) FILTER (WHERE kind = 'returned'), 0) AS came_back
    FROM inventory_stockmovement WHERE order_id IS NOT NULL GROUP BY order_id, sku
)
SELECT order_id, sku, status, held.quantity AS reservation, moved.reserved, moved.released, moved.shipped,
       held.returned, moved.came_back
FROM held FULL JOIN moved USING (order_id, sku)
WHERE held.quantity IS DISTINCT FROM moved.reserved
   OR held.returned IS DISTINCT FROM moved.came_back OR held.returned > held.quantity
   OR (came_back > 0 AND status IS DISTINCT FROM 'shipped')
   OR released IS DISTINCT FROM CASE status WHEN 'released' THEN quantity END
   OR shipped IS DISTINCT FROM CASE status WHEN 'shipped' THEN quantity END
   OR status IS NULL OR status NOT IN ('locked', 'released', 'shipped')
"""

ANSWERED = """
WITH said AS (
    SELECT key, count(*) FILTER (WHERE type = 'inventory.inventory-locked') AS locked,
           count(*) FILTER (WHERE type = 'inventory.inventory-lock-failed') AS failed
    FROM inventory_outboxevent WHERE type IN ('inventory.inventory-locked', 'inventory.inventory-lock-failed')
    GROUP BY key
), claimed AS (
    SELECT order_id::text AS key, status,
           EXISTS (SELECT FROM inventory_reservation WHERE claim_id = order_id) AS has_reservations
    FROM inventory_claim
), compared AS (
    SELECT key, status, has_reservations, coalesce(locked, 0) AS locked, coalesce(failed, 0) AS failed
    FROM claimed FULL JOIN said USING (key)
)
SELECT key AS order_id, status, has_reservations, locked AS said_locked, failed AS said_failed FROM compared
WHERE NOT CASE status
    WHEN 'locked' THEN locked > 0 AND failed = 0
    WHEN 'shipped' THEN locked > 0 AND failed = 0
    WHEN 'failed' THEN failed > 0 AND locked = 0
    WHEN 'released' THEN (locked > 0) = has_reservations AND (locked = 0 OR failed = 0)
    ELSE false END
"""

ANNOUNCED = """
WITH said AS (
    SELECT DISTINCT ON (key) key AS sku, (data ->> 'available')::bigint AS available,
           (data ->> 'reserved')::bigint AS reserved
    FROM inventory_outboxevent WHERE type = 'inventory.stock-changed' ORDER BY key, position DESC
)
SELECT sku, item.available, item.reserved, said.available AS said_available, said.reserved AS said_reserved
FROM inventory_stockitem AS item FULL JOIN said USING (sku)
WHERE (item.available, item.reserved) IS DISTINCT FROM (said.available, said.reserved)
"""

AVAILABILITY = """
WITH said AS (
    SELECT DISTINCT ON (key) key AS sku, type = 'inventory.stock-replenished' AS said_available
    FROM inventory_outboxevent WHERE type IN ('inventory.stock-depleted', 'inventory.stock-replenished')
    ORDER BY key, position DESC
)
SELECT sku, available, said_available FROM inventory_stockitem JOIN said USING (sku)
WHERE (available > 0) <> said_available
"""


@invariant("stock.ledger", "Available and reserved of each SKU are not negative, and the sums of its movements.")
def ledger(evidence: Evidence) -> Iterator[Row]:
    return evidence.state["inventory"].stream(LEDGER)


@invariant("stock.reserved", "Reserved of each SKU is the sum of its live reservations.")
def reserved(evidence: Evidence) -> Iterator[Row]:
    return evidence.state["inventory"].stream(RESERVED)


@invariant("stock.moved", "Each reservation was moved to reserved once, back or out once, and in again as returned.")
def moved(evidence: Evidence) -> Iterator[Row]:
    return evidence.state["inventory"].stream(MOVED)


@invariant("stock.answered", "Each claim announced its answer, one and the same.")
def answered(evidence: Evidence) -> Iterator[Row]:
    return evidence.state["inventory"].stream(ANSWERED)


@invariant("stock.announced", "The quantities last announced of each SKU are those it has.")
def announced(evidence: Evidence) -> Iterator[Row]:
    return evidence.state["inventory"].stream(ANNOUNCED)


@invariant("stock.availability", "Whether anything is left of each SKU is what was last announced of it.")
def availability(evidence: Evidence) -> Iterator[Row]:
    return evidence.state["inventory"].stream(AVAILABILITY)


FAMILIES = (
    Family("stock", Needs(state=("inventory",)), (ledger, reserved, announced, availability)),
    Family("answers of the stock", Needs(state=("inventory",)), (moved, answered)),
)
