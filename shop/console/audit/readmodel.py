"""The read model beside a fold of the log of the orders, from position 0 up to its cursors."""

from collections.abc import Iterator

from shop.console.audit.evidence import UP_TO, Evidence, Finding, Needs
from shop.console.audit.invariants import Family, NotAtRest, invariant
from shop.console.audit.merging import differences, side_by_side
from shop.console.audit.snapshots import Row

# Everything as text, written alike on both sides.
FOLDED = f"""
SELECT key, placed ->> 'member_id' AS member_id, status, placed ->> 'total' AS total, placed ->> 'currency' AS currency,
       reason::text AS reason, (placed ->> 'placed_at')::timestamptz AS placed_at, decided_at, history,
       (SELECT jsonb_agg(line - 'category' - 'campaign' ORDER BY n)::text
        FROM jsonb_array_elements(placed -> 'lines') WITH ORDINALITY AS numbered (line, n)) AS lines,
       (SELECT string_agg(concat(line ->> 'quantity', ' × ', line ->> 'sku'), ', ' ORDER BY line ->> 'sku' COLLATE "C")
        FROM jsonb_array_elements(returned -> 'lines') AS line) AS returned
FROM (
    SELECT key, (array_agg(data) FILTER (WHERE status = 'open'))[1] AS placed,
           (array_agg(status ORDER BY position DESC) FILTER (WHERE status <> 'returned'))[1] AS status,
           (array_agg(data -> 'reason') FILTER (WHERE status = 'cancelled'))[1] AS reason,
           (array_agg(data ORDER BY position DESC) FILTER (WHERE status = 'returned'))[1] AS returned,
           min(at) FILTER (WHERE status <> 'open') AS decided_at,
           string_agg(concat(status, ' ', at), ', ' ORDER BY position) FILTER (WHERE status <> 'returned') AS history
    FROM (
        SELECT key COLLATE "C" AS key, position, data, coalesce(data ->> 'at', data ->> 'placed_at')::timestamptz AS at,
               CASE type WHEN 'orders.order-created' THEN 'open' ELSE split_part(type, '-', 2) END AS status
        FROM orders_outboxevent AS e {UP_TO}
        WHERE type IN ('orders.order-created', 'orders.order-confirmed', 'orders.order-cancelled',
                       'orders.order-shipped', 'orders.order-returned')
    ) AS fact GROUP BY key
) AS folded ORDER BY key
"""

SHOWN = """
SELECT id::text AS key, member_id::text, status, total::text, currency, reason::text, placed_at, decided_at,
       (SELECT jsonb_agg(line - 'returned' ORDER BY n)::text
        FROM jsonb_array_elements(lines) WITH ORDINALITY AS numbered (line, n)) AS lines,
       (SELECT string_agg(concat(line ->> 'returned', ' × ', line ->> 'sku'), ', ' ORDER BY line ->> 'sku' COLLATE "C")
        FROM jsonb_array_elements(lines) AS line WHERE (line ->> 'returned')::int > 0) AS returned,
       (SELECT string_agg(concat(entry ->> 'status', ' ', (entry ->> 'at')::timestamptz), ', ' ORDER BY n)
        FROM jsonb_array_elements(history) WITH ORDINALITY AS numbered (entry, n)) AS history
FROM readmodel_orderview ORDER BY id
"""

# Behind the position of its member's renaming, an order shows the new name.
NAMES = """
SELECT id AS order_id, o.member_id, o.member_name, m.name FROM readmodel_orderview AS o
LEFT JOIN readmodel_membername AS m USING (member_id) LEFT JOIN readmodel_renaming AS r USING (member_id)
WHERE o.member_name IS DISTINCT FROM m.name
AND (r.member_id IS NULL OR (o.placed_at, o.id) <= (r.placed_at, r.order_id))
"""

RENAMINGS = "SELECT count(*) AS members FROM readmodel_renaming"


@invariant("readmodel.orders", "The read model's orders are a fold of the orders' events from position 0.")
def orders(evidence: Evidence) -> Iterator[Finding]:
    return evidence.beside_letters(_compared(evidence), ("readmodel", "orders"))


def _compared(evidence: Evidence) -> Iterator[tuple[str, Row]]:
    folded = evidence.log["orders"].stream(FOLDED, evidence.cursors("readmodel", "orders"))
    shown = evidence.state["readmodel"].stream(SHOWN)
    for key, expected, view in side_by_side(folded, shown):
        if view is None:
            yield key, {"order_id": key, "fault": "heard of, not shown"}
        elif expected is None:
            yield key, {"order_id": key, "fault": "shown, not heard of"}
        elif wrong := differences(expected, view):
            yield key, {"order_id": key, **wrong}


@invariant("readmodel.names", "Each order shows the name that the read model has of its member.")
def names(evidence: Evidence) -> Iterator[Row]:
    yield from evidence.state["readmodel"].stream(NAMES)
    (row,) = evidence.state["readmodel"].rows(RENAMINGS)
    if row["members"]:
        raise NotAtRest(f"the orders of {row['members']} members are being given their new names")


FAMILIES = (
    Family("read model", Needs(state=("readmodel",), log=("orders",)), (orders,)),
    Family("names in the read model", Needs(state=("readmodel",)), (names,)),
)
