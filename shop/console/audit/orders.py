"""The orders within themselves, and beside the answers of the inventory up to their cursors."""

from collections.abc import Iterator
from datetime import timedelta

from django.conf import settings

from shop.console.audit.evidence import EVERYONE, UP_TO, Evidence, Finding, Needs
from shop.console.audit.invariants import Family, NotAtRest, invariant
from shop.console.audit.merging import side_by_side
from shop.console.audit.snapshots import Row

ANNOUNCED = """
WITH said AS (
    SELECT key, count(*) FILTER (WHERE type = 'orders.order-created') AS created,
           count(*) FILTER (WHERE type = 'orders.order-confirmed') AS confirmed,
           count(*) FILTER (WHERE type = 'orders.order-cancelled') AS cancelled,
           string_agg(split_part(type, '-', 2), ' ' ORDER BY position) AS events,
           max(data ->> 'member_id') AS member_id, max(data ->> 'total') AS total,
           max(CASE WHEN type = 'orders.order-created' THEN (
               SELECT string_agg(concat(line ->> 'quantity', ' × ', line ->> 'sku', ' at ', line ->> 'price'), ', '
                                 ORDER BY line ->> 'sku' COLLATE "C")
               FROM jsonb_array_elements(data -> 'lines') AS line) END) AS lines
    FROM orders_outboxevent GROUP BY key
), line AS (
    SELECT order_id, sum(quantity * price) AS sum,
           string_agg(concat(quantity, ' × ', sku, ' at ', price), ', ' ORDER BY sku COLLATE "C") AS lines
    FROM orders_orderline GROUP BY order_id
), placed AS (
    SELECT id::text AS key, member_id::text, total::text, status, line.lines, line.sum,
           (confirmed_at IS NOT NULL)::int AS confirmed, (cancelled_at IS NOT NULL)::int AS cancelled
    FROM orders_order LEFT JOIN line ON order_id = id
)
SELECT key AS order_id, status, events, placed.member_id, said.member_id AS said_member_id, placed.total, placed.sum,
       said.total AS said_total, placed.lines, said.lines AS said_lines
FROM placed FULL JOIN said USING (key)
WHERE status IS NULL OR created IS DISTINCT FROM 1 OR events NOT LIKE 'created%'
   OR (placed.member_id, placed.total, placed.lines) IS DISTINCT FROM (said.member_id, said.total, said.lines)
   OR placed.sum::text IS DISTINCT FROM placed.total
   OR (placed.confirmed, placed.cancelled) IS DISTINCT FROM (said.confirmed::int, said.cancelled::int)
   OR placed.confirmed <> CASE status WHEN 'open' THEN 0 WHEN 'cancelled' THEN placed.confirmed ELSE 1 END
   OR placed.cancelled <> (status = 'cancelled')::int
"""

KEYS = """
SELECT k.member_id, k.key, k.order_id, o.member_id AS order_of FROM orders_idempotencykey AS k
LEFT JOIN orders_order AS o ON o.id = k.order_id WHERE k.answer = '' AND o.member_id IS DISTINCT FROM k.member_id
"""

HEARD = f"""
SELECT key COLLATE "C" AS key, bool_or(type = 'inventory.inventory-locked') AS locked,
       bool_or(type = 'inventory.inventory-lock-failed') AS failed, max((data -> 'short')::text) AS short
FROM inventory_outboxevent AS e {UP_TO} WHERE type IN ('inventory.inventory-locked', 'inventory.inventory-lock-failed')
GROUP BY 1 ORDER BY 1
"""

DECIDED = """
SELECT id::text AS key, status, confirmed_at IS NOT NULL AS confirmed, reason_data ->> 'code' AS reason,
       (reason_data -> 'lines')::text AS short
FROM orders_order ORDER BY id
"""

LATE = """
SELECT id AS order_id, placed_at FROM orders_order
WHERE status = 'open' AND placed_at < clock_timestamp() - %(limit)s ORDER BY placed_at
"""

OPEN = "SELECT id AS order_id, placed_at FROM orders_order WHERE status = 'open' ORDER BY placed_at"

NO_ANSWER: Row = {"locked": False, "failed": False, "short": None}

SWEEPS = 3  # intervals of the sweep that an order may stay open beyond its limit


@invariant("orders.announced", "Each order announced itself once, as it is, and each decision on it.")
def announced(evidence: Evidence) -> Iterator[Row]:
    return evidence.state["orders"].stream(ANNOUNCED)


@invariant("orders.keys", "Each Idempotency-Key stands for an answer, or for an order of its member.")
def keys(evidence: Evidence) -> Iterator[Row]:
    return evidence.state["orders"].stream(KEYS)


@invariant("orders.answers", "An order is confirmed only with its stock locked; each answer heard decided its order.")
def answers(evidence: Evidence) -> Iterator[Finding]:
    return evidence.beside_letters(_answered(evidence), ("orders", "inventory"))


def _answered(evidence: Evidence) -> Iterator[tuple[str, Row]]:
    answers = evidence.log["inventory"].stream(HEARD, evidence.cursors("orders", "inventory"))
    decided = evidence.state["orders"].stream(DECIDED)
    for key, answer, order in side_by_side(answers, decided):
        if fault := _fault(answer or NO_ANSWER, order):
            yield key, {"order_id": key, "fault": fault, "answer": answer, "order": order}


def _fault(answer: Row, order: Row | None) -> str | None:
    if order is None:
        return "an answer for an order that does not exist"
    if order["confirmed"] and not answer["locked"]:
        return "confirmed, and no stock was locked for it"
    if order["status"] in ("confirmed", "shipped") and answer["failed"]:
        return f"{order['status']}, though its stock was refused"
    if order["status"] == "open" and (answer["locked"] or answer["failed"]):
        return "answered, and still open"
    if order["reason"] == "out_of_stock" and order["short"] != answer["short"]:
        return "cancelled for other short lines than the inventory named"
    return None


@invariant("orders.in_time", "No order is open beyond its limit.")
def in_time(evidence: Evidence) -> Iterator[Row]:
    limit = settings.ORDER_TIME_LIMIT + timedelta(seconds=SWEEPS * settings.ORDER_SWEEP_INTERVAL)
    return evidence.state["orders"].stream(LATE, {"limit": limit})


@invariant("orders.decided", "At rest, every order is decided.")
def decided(evidence: Evidence) -> Iterator[Finding]:
    if under_way := evidence.under_way():
        raise NotAtRest(", ".join(f"{pair}: {events} events" for pair, events in under_way.items()))
    still_open = ((str(row["order_id"]), row) for row in evidence.state["orders"].stream(OPEN))
    yield from evidence.beside_letters(still_open, ("inventory", "orders"), ("orders", "inventory"))


FAMILIES = (
    Family("orders", Needs(state=("orders",)), (announced,)),
    Family("orders by the clock", Needs(state=("orders",)), (keys, in_time)),
    Family("answers to orders", Needs(state=("orders",), log=("inventory",)), (answers,)),
    Family("rest", Needs(state=EVERYONE, log=EVERYONE), (decided,)),
)
