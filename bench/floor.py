"""The floor: the rows of the flow, written set-wise by a bare psycopg script, stage after stage.

No Celery, no Django, no cursors, no acknowledgements: what is left is the work that any implementation has
to do. It reads the OrderCreated events, reserves, confirms and projects, in batches of 1,000 with a durable
commit for each stage of each batch, and writes the same rows into the same tables, outbox rows included.
"""

import time
from datetime import UTC, datetime
from uuid import UUID

import psycopg
from psycopg.types.json import Jsonb

BATCH = 1_000

APPEND = """
INSERT INTO {table} (lane, type, key, data, headers)
SELECT lane, %s, key, data, '{{}}' FROM unnest(%s::smallint[], %s::text[], %s::jsonb[]) AS e (lane, key, data)
"""


def drain(urls: dict[str, str], *, credit: bool) -> float:
    """Decide every order of the backlog, with enough in stock, and enough credit, for all; seconds taken."""
    names = ("orders", "inventory", "members", "readmodel")
    orders, inventory, members, readmodel = (psycopg.connect(urls[name]) for name in names)
    with orders, inventory, members, readmodel:
        start, position = time.perf_counter(), 0
        while rows := _read(orders, position):
            position = rows[-1][0]
            events = [(lane, key, data) for _, lane, key, data in rows]
            now = datetime.now(UTC)
            _reserve(inventory, events, now)
            if credit:
                _take_credit(members, events, now)
            _confirm(orders, events, now)
            _project(readmodel, events, now)
        return time.perf_counter() - start


def _read(orders: psycopg.Connection, position: int) -> list[tuple]:
    with orders.transaction():
        return orders.execute(
            "SELECT position, lane, key, data FROM orders_outboxevent"
            " WHERE position > %s AND type = 'orders.order-created' ORDER BY position LIMIT %s",
            [position, BATCH],
        ).fetchall()


def _reserve(inventory: psycopg.Connection, events: list, now: datetime) -> None:
    lines = [(key, line["sku"], line["quantity"]) for _, key, data in events for line in data["lines"]]
    ids = [UUID(key) for _, key, _ in events]
    totals: dict[str, int] = {}
    for _, sku, quantity in lines:
        totals[sku] = totals.get(sku, 0) + quantity
    columns = [UUID(key) for key, _, _ in lines], [sku for _, sku, _ in lines], [quantity for _, _, quantity in lines]
    skus = sorted(totals)
    with inventory.transaction(), inventory.cursor() as cursor:
        cursor.execute(
            "SELECT sku, available, reserved FROM inventory_stockitem WHERE sku = ANY(%s) ORDER BY sku FOR UPDATE",
            [skus],
        )
        stock = {sku: (available, reserved) for sku, available, reserved in cursor.fetchall()}
        cursor.execute(
            "UPDATE inventory_stockitem s SET available = s.available - v.q, reserved = s.reserved + v.q"
            " FROM unnest(%s::text[], %s::bigint[]) AS v (sku, q) WHERE s.sku = v.sku",
            [skus, [totals[sku] for sku in skus]],
        )
        cursor.execute(
            "INSERT INTO inventory_claim (order_id, status, short, answered_at)"
            " SELECT id, 'locked', '[]', %s FROM unnest(%s::uuid[]) AS id",
            [now, ids],
        )
        cursor.execute(
            "INSERT INTO inventory_reservation (claim_id, sku, quantity)"
            " SELECT * FROM unnest(%s::uuid[], %s::text[], %s::int[])",
            columns,
        )
        cursor.execute(
            "INSERT INTO inventory_stockmovement (order_id, sku, quantity, kind, at, note)"
            " SELECT o, s, q, 'reserved', %s, '' FROM unnest(%s::uuid[], %s::text[], %s::int[]) AS m (o, s, q)",
            [now, *columns],
        )
        cursor.execute(
            APPEND.format(table="inventory_outboxevent"),
            [
                "inventory.inventory-locked",
                [lane for lane, _, _ in events],
                [key for _, key, _ in events],
                [Jsonb({"order_id": key}) for _, key, _ in events],
            ],
        )
        cursor.execute(
            APPEND.format(table="inventory_outboxevent"),
            [
                "inventory.stock-changed",
                [0 for _ in skus],
                skus,
                [
                    Jsonb(
                        {"sku": sku, "available": stock[sku][0] - totals[sku], "reserved": stock[sku][1] + totals[sku]}
                    )
                    for sku in skus
                ],
            ],
        )


def _take_credit(members: psycopg.Connection, events: list, now: datetime) -> None:
    """A line of the stream for each order, and its announcement."""
    buyers = sorted({data["member_id"] for _, _, data in events})
    with members.transaction(), members.cursor() as cursor:
        cursor.execute(
            "SELECT member_id FROM members_creditaccount WHERE member_id = ANY(%s) ORDER BY member_id FOR UPDATE",
            [buyers],
        )
        cursor.execute(
            "SELECT member_id, max(version) FROM members_streamevent WHERE member_id = ANY(%s) GROUP BY member_id",
            [buyers],
        )
        versions = dict(cursor.fetchall())
        told = []
        for _, key, data in events:
            member = data["member_id"]
            versions[member] += 1
            told.append({"member_id": member, "version": versions[member], "order_id": key, "amount": data["total"]})
        documents = [Jsonb(each) for each in told]
        cursor.execute(
            "INSERT INTO members_streamevent (member_id, version, type, order_id, data, at)"
            " SELECT m, v, 'members.credit-reserved', o, d, %s"
            " FROM unnest(%s::bigint[], %s::bigint[], %s::uuid[], %s::jsonb[]) AS e (m, v, o, d)",
            [
                now,
                [each["member_id"] for each in told],
                [each["version"] for each in told],
                [UUID(each["order_id"]) for each in told],
                documents,
            ],
        )
        cursor.execute(
            APPEND.format(table="members_outboxevent"),
            [
                "members.credit-reserved",
                [lane for lane, _, _ in events],
                [str(each["member_id"]) for each in told],
                documents,
            ],
        )


def _confirm(orders: psycopg.Connection, events: list, now: datetime) -> None:
    ids = [UUID(key) for _, key, _ in events]
    with orders.transaction(), orders.cursor() as cursor:
        cursor.execute("SELECT id, status FROM orders_order WHERE id = ANY(%s) ORDER BY id FOR UPDATE", [ids])
        cursor.fetchall()
        cursor.execute(
            "UPDATE orders_order SET status = 'confirmed', granted = participants, confirmed_at = %s WHERE id = ANY(%s)",
            [now, ids],
        )
        cursor.execute(
            APPEND.format(table="orders_outboxevent"),
            [
                "orders.order-confirmed",
                [lane for lane, _, _ in events],
                [key for _, key, _ in events],
                [Jsonb({"order_id": key, "at": now.isoformat()}) for _, key, _ in events],
            ],
        )


def _project(readmodel: psycopg.Connection, events: list, now: datetime) -> None:
    """As two batches do: the orders as created, then as confirmed."""
    members = sorted({data["member_id"] for _, _, data in events})
    ids = [UUID(key) for _, key, _ in events]
    with readmodel.transaction(), readmodel.cursor() as cursor:
        cursor.execute(
            "INSERT INTO readmodel_membername (member_id, name) SELECT id, '' FROM unnest(%s::bigint[]) AS id"
            " ON CONFLICT DO NOTHING",
            [members],
        )
        cursor.execute(
            "INSERT INTO readmodel_orderview"
            " (id, member_id, member_name, status, total, currency, lines, placed_at, history)"
            " SELECT id, m, '', 'open', t, c, l, p, h FROM"
            " unnest(%s::uuid[], %s::bigint[], %s::bigint[], %s::text[], %s::jsonb[], %s::timestamptz[], %s::jsonb[])"
            " AS v (id, m, t, c, l, p, h)",
            [
                ids,
                [data["member_id"] for _, _, data in events],
                [data["total"] for _, _, data in events],
                [data["currency"] for _, _, data in events],
                [Jsonb(data["lines"]) for _, _, data in events],
                [data["placed_at"] for _, _, data in events],
                [Jsonb([{"status": "open", "at": data["placed_at"]}]) for _, _, data in events],
            ],
        )
    with readmodel.transaction():
        readmodel.execute(
            "UPDATE readmodel_orderview o SET status = 'confirmed', decided_at = %s, history = v.h"
            " FROM unnest(%s::uuid[], %s::jsonb[]) AS v (id, h) WHERE o.id = v.id",
            [
                now,
                ids,
                [
                    Jsonb(
                        [
                            {"status": "open", "at": data["placed_at"]},
                            {"status": "confirmed", "at": now.isoformat()},
                        ]
                    )
                    for _, _, data in events
                ],
            ],
        )
