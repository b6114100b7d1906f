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
           count(*) FILTER (WHERE type = 'orders.order-shipped') AS shipped,
           (array_agg(data ORDER BY position DESC) FILTER (WHERE type = 'orders.order-returned'))[1] AS returns,
           coalesce(max((data -> 'participants')::text), '["inventory"]')::jsonb AS participants,
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
), back AS (
    SELECT order_id, string_agg(concat(total, ' × ', sku), ', ' ORDER BY sku COLLATE "C") AS lines,
           sum(total * price)::text AS refunded, bool_or(total > quantity OR total <> parts) AS wrong
    FROM (SELECT order_id, sku, max(total) AS total, sum(quantity) AS parts FROM orders_orderreturn GROUP BY 1, 2) AS r
    LEFT JOIN orders_orderline USING (order_id, sku) GROUP BY order_id
), placed AS (
    SELECT id::text AS key, member_id::text, total::text, status, line.lines, line.sum, granted,
           CASE participants WHEN '[]' THEN '["inventory"]' ELSE participants END AS participants,
           back.lines AS returned, back.refunded, back.wrong,
           (confirmed_at IS NOT NULL)::int AS confirmed, (cancelled_at IS NOT NULL)::int AS cancelled,
           (shipped_at IS NOT NULL)::int AS shipped
    FROM orders_order LEFT JOIN line ON line.order_id = id LEFT JOIN back ON back.order_id = id
), told AS (
    SELECT *, returns ->> 'refunded' AS refunded, (
        SELECT string_agg(concat(line ->> 'quantity', ' × ', line ->> 'sku'), ', ' ORDER BY line ->> 'sku' COLLATE "C")
        FROM jsonb_array_elements(returns -> 'lines') AS line) AS returned
    FROM said
)
SELECT key AS order_id, status, events, placed.member_id, said.member_id AS said_member_id, placed.total, placed.sum,
       said.total AS said_total, placed.lines, said.lines AS said_lines, placed.participants, granted,
       placed.returned, said.returned AS said_returned, placed.refunded, said.refunded AS said_refunded
FROM placed FULL JOIN told AS said USING (key)
WHERE status IS NULL OR created IS DISTINCT FROM 1 OR events NOT LIKE 'created%'
   OR (placed.member_id, placed.total, placed.lines) IS DISTINCT FROM (said.member_id, said.total, said.lines)
   OR placed.sum::text IS DISTINCT FROM placed.total
   OR (placed.confirmed, placed.cancelled, placed.shipped)
      IS DISTINCT FROM (said.confirmed::int, said.cancelled::int, said.shipped::int)
   OR placed.participants IS DISTINCT FROM said.participants
   OR (placed.returned, placed.refunded) IS DISTINCT FROM (said.returned, said.refunded) OR placed.wrong
   OR (placed.returned IS NOT NULL AND status <> 'shipped')
   OR placed.confirmed <> CASE status WHEN 'open' THEN 0 WHEN 'cancelled' THEN placed.confirmed ELSE 1 END
   OR placed.cancelled <> (status = 'cancelled')::int OR placed.shipped <> (status = 'shipped')::int
"""

KEYS = """
SELECT k.member_id, k.key, k.order_id, o.member_id AS order_of FROM orders_idempotencykey AS k
LEFT JOIN orders_order AS o ON o.id = k.order_id WHERE k.answer = '' AND o.member_id IS DISTINCT FROM k.member_id
"""

HEARD = {
    "inventory": f"""
SELECT key COLLATE "C" AS key, bool_or(type = 'inventory.inventory-locked') AS agreed,
       bool_or(type = 'inventory.inventory-lock-failed') AS refused,
       max((CASE data -> 'short' WHEN '[]' THEN data -> 'exhausted' ELSE data -> 'short' END)::text) AS why
FROM inventory_outboxevent AS e {UP_TO} WHERE type IN ('inventory.inventory-locked', 'inventory.inventory-lock-failed')
GROUP BY 1 ORDER BY 1
""",
    "members": f"""
SELECT (data ->> 'order_id') COLLATE "C" AS key, bool_or(type = 'members.credit-reserved') AS agreed,
       bool_or(type = 'members.credit-refused') AS refused, max(data ->> 'missing') AS why
FROM members_outboxevent AS e {UP_TO} WHERE type IN ('members.credit-reserved', 'members.credit-refused')
GROUP BY 1 ORDER BY 1
""",
}
"""What each participant answered: by its name."""

CONSUMERS = {"inventory": "orders", "members": "orders.credit"}
"""Who hears a participant's answers."""

REFUSALS = {
    "inventory": (("out_of_stock", "allotment_exhausted"), "lines"),
    "members": (("credit_refused",), "missing"),
}
"""The reasons that a participant's refusal becomes, the first that fits, and the field that says why."""

DECIDED = """
SELECT id::text AS key, status, confirmed_at IS NOT NULL AS confirmed, granted ? %(participant)s AS granted,
       waits ? %(participant)s AS waits, granted @> waits AS all_granted,
       why ->> 'code' AS reason, why ->> %(field)s AS why
FROM orders_order
CROSS JOIN LATERAL (SELECT CASE participants WHEN '[]' THEN '["inventory"]' ELSE participants END) AS named (waits)
LEFT JOIN LATERAL (
    SELECT reason FROM jsonb_array_elements(jsonb_build_array(reason_data) || coalesce(reason_data -> 'also', '[]'))
    AS reason WHERE reason ->> 'code' = ANY(%(codes)s::text[])
    ORDER BY array_position(%(codes)s::text[], reason ->> 'code') LIMIT 1
) AS refusal (why) ON true ORDER BY id
"""

LATE = """
SELECT id AS order_id, placed_at FROM orders_order
WHERE status = 'open' AND placed_at < clock_timestamp() - %(limit)s ORDER BY placed_at
"""

OPEN = "SELECT id AS order_id, placed_at FROM orders_order WHERE status = 'open' ORDER BY placed_at"

NO_ANSWER: Row = {"agreed": False, "refused": False, "why": None}

SWEEPS = 3  # intervals of the sweep that an order may stay open beyond its limit


@invariant("orders.announced", "Each order announced itself once, as it is, and each decision on it.")
def announced(evidence: Evidence) -> Iterator[Row]:
    return evidence.state["orders"].stream(ANNOUNCED)


@invariant("orders.keys", "Each Idempotency-Key stands for an answer, or for an order of its member.")
def keys(evidence: Evidence) -> Iterator[Row]:
    return evidence.state["orders"].stream(KEYS)


@invariant(
    "orders.answers", "An order is confirmed only if all its participants agreed; each answer decided its order."
)
def answers(evidence: Evidence) -> Iterator[Finding]:
    for participant, consumer in CONSUMERS.items():
        yield from evidence.beside_letters(_answered(evidence, participant, consumer), (consumer, participant))


def _answered(evidence: Evidence, participant: str, consumer: str) -> Iterator[tuple[str, Row]]:
    codes, field = REFUSALS[participant]
    heard = evidence.log[participant].stream(HEARD[participant], evidence.cursors(consumer, participant))
    decided = evidence.state["orders"].stream(
        DECIDED, {"participant": participant, "codes": list(codes), "field": field}
    )
    for key, answer, order in side_by_side(heard, decided):
        if fault := _fault(answer or NO_ANSWER, order):
            yield key, {"order_id": key, "participant": participant, "fault": fault, "answer": answer, "order": order}


def _fault(answer: Row, order: Row | None) -> str | None:
    if order is None:
        return "an answer for an order that does not exist"
    if not order["waits"]:
        return "an answer of a participant that the order does not name" if answer["agreed"] else None
    if order["confirmed"] and not answer["agreed"]:
        return "confirmed, though this participant did not agree"
    if order["status"] in ("confirmed", "shipped") and answer["refused"]:
        return f"{order['status']}, though this participant refused"
    if order["status"] == "open" and (answer["refused"] or order["all_granted"]):
        return "decided by the answers, and still open"
    if order["status"] == "open" and answer["agreed"] != order["granted"]:
        return "still open, and the answer is not noted"
    if order["why"] is not None and order["why"] != answer["why"]:
        return "cancelled for something else than the participant named"
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
    deciding = [("orders", "inventory"), ("orders.credit", "members")]
    yield from evidence.beside_letters(still_open, ("inventory", "orders"), ("members", "orders"), *deciding)


FAMILIES = (
    Family("orders", Needs(state=("orders",)), (announced,)),
    Family("orders by the clock", Needs(state=("orders",)), (keys, in_time)),
    Family("answers to orders", Needs(state=("orders",), log=("inventory", "members")), (answers,)),
    Family("rest", Needs(state=EVERYONE, log=EVERYONE), (decided,)),
)
