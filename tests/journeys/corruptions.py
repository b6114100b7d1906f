"""Ways to break the databases, each with the names of the invariants that it breaks.

``%(confirmed)s``, ``%(short)s``, ``%(cancelled)s``, ``%(shipped)s`` (a part of it came back),
``%(sold)s`` (in a campaign) and ``%(undelivered)s`` are orders of each kind.
"""

EVENT_LIKE = """
INSERT INTO {context}_outboxevent (lane, type, key, data, headers)
SELECT lane, {type}, key, {data}, headers FROM {context}_outboxevent WHERE {where}
"""

# Its position stays taken, so that the lane's end stays where it is.
CONFIRM = (
    "UPDATE orders_order SET status = 'confirmed', granted = participants, confirmed_at = now() "
    "WHERE id = %(undelivered)s"
)

LOSE = "UPDATE {context}_outboxevent SET type = 'lost' WHERE {where}"

GIVEN_UP = """
INSERT INTO {context}_deadletter
    (consumer, source, lane, position, type, key, event, error, traceback, attempts, discarded_at)
VALUES ('{context}', 'orders', 0, 1, 'orders.order-created', {key}, '{{}}', 'no', '', 3, now())
"""

CORRUPTIONS = {
    "a unit too many is available": (
        "inventory",
        "UPDATE inventory_stockitem SET available = available + 1 WHERE sku = 'phone'",
        {"stock.ledger", "stock.announced"},
    ),
    "a unit too many is reserved": (
        "inventory",
        "UPDATE inventory_stockitem SET reserved = reserved + 1 WHERE sku = 'phone'",
        {"stock.ledger", "stock.reserved", "stock.announced"},
    ),
    "a receipt is lost from the ledger": (
        "inventory",
        "DELETE FROM inventory_stockmovement WHERE sku = 'phone' AND kind = 'received'",
        {"stock.ledger"},
    ),
    "a movement is of an unknown kind": (
        "inventory",
        "UPDATE inventory_stockmovement SET kind = 'stolen' WHERE sku = 'phone' AND kind = 'received'",
        {"stock.ledger"},
    ),
    "an order's movement is lost from the ledger": (
        "inventory",
        "DELETE FROM inventory_stockmovement WHERE order_id = %(confirmed)s",
        {"stock.ledger", "stock.moved"},
    ),
    "a release is told as another order's": (
        "inventory",
        "UPDATE inventory_stockmovement SET order_id = %(confirmed)s "
        "WHERE order_id = %(cancelled)s AND kind = 'released'",
        {"stock.moved"},
    ),
    "a reservation holds a unit too many": (
        "inventory",
        "UPDATE inventory_reservation SET quantity = quantity + 1 WHERE claim_id = %(confirmed)s",
        {"stock.reserved", "stock.moved", "claims.orders"},
    ),
    "a reservation is lost": (
        "inventory",
        "DELETE FROM inventory_reservation WHERE claim_id = %(confirmed)s",
        {"stock.reserved", "stock.moved", "claims.orders"},
    ),
    "the reservation of a cancelled order is live again": (
        "inventory",
        "UPDATE inventory_claim SET status = 'locked' WHERE order_id = %(cancelled)s",
        {"stock.reserved", "stock.moved", "claims.orders"},
    ),
    "the reservation of a confirmed order is released": (
        "inventory",
        "UPDATE inventory_claim SET status = 'released' WHERE order_id = %(confirmed)s",
        {"stock.reserved", "stock.moved", "claims.orders"},
    ),
    "a shipment is lost from the ledger": (
        "inventory",
        "DELETE FROM inventory_stockmovement WHERE order_id = %(shipped)s AND kind = 'shipped'",
        {"stock.ledger", "stock.moved"},
    ),
    "a return is counted twice": (
        "inventory",
        "INSERT INTO inventory_stockmovement (sku, kind, quantity, order_id, at, note) SELECT sku, kind, quantity, "
        "order_id, at, note FROM inventory_stockmovement WHERE order_id = %(shipped)s AND kind = 'returned'",
        {"stock.ledger", "stock.moved"},
    ),
    "what came back is forgotten": (
        "inventory",
        "UPDATE inventory_reservation SET returned = 0 WHERE claim_id = %(shipped)s",
        {"stock.moved", "claims.orders"},
    ),
    "more came back than was returned": (
        "inventory",
        "UPDATE inventory_reservation SET returned = 2 WHERE claim_id = %(shipped)s;"
        "UPDATE inventory_stockmovement SET quantity = 2 WHERE order_id = %(shipped)s AND kind = 'returned';"
        "UPDATE inventory_stockitem SET available = 2 WHERE sku = 'lamp';"
        "UPDATE inventory_outboxevent SET data = data || '{\"available\": 2}' WHERE key = 'lamp'",
        {"claims.orders"},
    ),
    "what was shipped is held again": (
        "inventory",
        "UPDATE inventory_claim SET status = 'locked' WHERE order_id = %(shipped)s",
        {"stock.reserved", "stock.moved", "claims.orders"},
    ),
    "what was not shipped left": (
        "inventory",
        "UPDATE inventory_claim SET status = 'shipped' WHERE order_id = %(confirmed)s",
        {"stock.reserved", "stock.moved", "claims.orders"},
    ),
    "a product is said to be sold out that is not": (
        "inventory",
        "UPDATE inventory_outboxevent SET type = 'inventory.stock-depleted' "
        "WHERE key = 'phone' AND type = 'inventory.stock-replenished'",
        {"stock.availability"},
    ),
    "a product is refused as sold out though it is not": (
        "orders",
        "UPDATE orders_productcopy SET sold_out = true WHERE sku = 'phone'",
        {"orders.sold_out"},
    ),
    "an order is claimed for before it was heard of": (
        "inventory",
        "INSERT INTO inventory_claim VALUES (%(undelivered)s, 'released', '[]', now())",
        {"claims.orders"},
    ),
    "an order has a claim too many under another id": (
        "inventory",
        "INSERT INTO inventory_claim SELECT gen_random_uuid(), status, short, answered_at FROM inventory_claim "
        "WHERE order_id = %(short)s",
        {"stock.answered", "claims.orders"},
    ),
    "a claim is lost": (
        "inventory",
        "DELETE FROM inventory_claim WHERE order_id = %(short)s",
        {"stock.answered", "claims.orders"},
    ),
    "a yes is lost from the log": (
        "inventory",
        LOSE.format(context="inventory", where="key = %(confirmed)s"),
        {"stock.answered", "orders.answers"},
    ),
    "a no is lost from the log": (
        "inventory",
        LOSE.format(context="inventory", where="key = %(short)s"),
        {"stock.answered", "orders.answers"},
    ),
    "an order is given a second answer": (
        "inventory",
        EVENT_LIKE.format(
            context="inventory",
            type="'inventory.inventory-lock-failed'",
            data="data || '{\"short\": []}'",
            where="key = %(confirmed)s",
        ),
        {"stock.answered"},
    ),
    "the quantities last announced are others": (
        "inventory",
        "UPDATE inventory_outboxevent SET data = data || '{\"available\": 7}' WHERE key = 'case'",
        {"stock.announced"},
    ),
    "a stock item is lost": (
        "inventory",
        "DELETE FROM inventory_stockitem WHERE sku = 'cover'",
        {"stock.announced", "stock.items"},
    ),
    "an order is confirmed and told so without stock": (
        "orders",
        CONFIRM
        + ";"
        + EVENT_LIKE.format(
            context="orders", type="'orders.order-confirmed'", data="'{}'", where="key = %(undelivered)s"
        ),
        {"orders.answers"},
    ),
    "an order is confirmed and tells nobody": (
        "orders",
        CONFIRM,
        {"orders.announced", "orders.answers"},
    ),
    "an answered order is open again": (
        "orders",
        "UPDATE orders_order SET status = 'open', confirmed_at = NULL WHERE id = %(confirmed)s",
        {"orders.announced", "orders.answers"},
    ),
    "a confirmed order whose stock was refused": (
        "orders",
        "UPDATE orders_order SET status = 'shipped', granted = participants, reason_data = NULL, cancelled_at = NULL, "
        "confirmed_at = now() WHERE id = %(short)s",
        {"orders.announced", "orders.answers"},
    ),
    "an order is cancelled for other short lines": (
        "orders",
        "UPDATE orders_order SET reason_data = jsonb_set(reason_data, '{lines,0,available}', '77') "
        "WHERE id = %(short)s",
        {"orders.answers"},
    ),
    "an order is lost": (
        "orders",
        "DELETE FROM orders_orderline WHERE order_id = %(short)s; DELETE FROM orders_order WHERE id = %(short)s",
        {"orders.announced", "orders.answers"},
    ),
    "an order's event is lost": (
        "orders",
        LOSE.format(context="orders", where="key = %(undelivered)s"),
        {"orders.announced", "orders.decided"},
    ),
    "a delivered order's event is lost": (
        "orders",
        LOSE.format(context="orders", where="key = %(cancelled)s AND type = 'orders.order-created'"),
        {"orders.announced", "claims.orders", "credit.orders", "readmodel.orders"},
    ),
    "an order announced itself twice": (
        "orders",
        EVENT_LIKE.format(context="orders", type="type", data="data", where="key = %(undelivered)s"),
        {"orders.announced"},
    ),
    "an order is another member's than it announced": (
        "orders",
        "UPDATE orders_order SET member_id = member_id + 1 WHERE id = %(undelivered)s",
        {"orders.announced"},
    ),
    "an order's total is not that of its lines": (
        "orders",
        "UPDATE orders_order SET total = total - 1 WHERE id = %(undelivered)s",
        {"orders.announced"},
    ),
    "an order's line is another than it announced": (
        "orders",
        "UPDATE orders_orderline SET quantity = 2, price = 50 WHERE order_id = %(undelivered)s",
        {"orders.announced"},
    ),
    "an Idempotency-Key stands for an order that is not its member's": (
        "orders",
        "UPDATE orders_idempotencykey SET member_id = member_id + 1",
        {"orders.keys"},
    ),
    "an order is open for a day": (
        "orders",
        "UPDATE orders_order SET placed_at = placed_at - interval '1 day' WHERE id = %(undelivered)s",
        {"orders.in_time"},
    ),
    "a product's copy has another price": (
        "orders",
        "UPDATE orders_productcopy SET price = 1 WHERE sku = 'phone'",
        {"orders.products"},
    ),
    "a product's copy is lost": (
        "orders",
        "DELETE FROM orders_productcopy WHERE sku = 'phone'",
        {"orders.products"},
    ),
    "a member's copy is deactivated": (
        "orders",
        "UPDATE orders_membercopy SET active = false",
        {"orders.members"},
    ),
    "a product is delisted and tells nobody": (
        "catalogue",
        "UPDATE catalogue_product SET listed = false WHERE sku = 'phone'",
        {"catalogue.announced"},
    ),
    "a member is renamed and tells nobody": (
        "default",
        "UPDATE members_member SET name = 'Eve'",
        {"members.announced"},
    ),
    "the read model shows another status": (
        "readmodel",
        "UPDATE readmodel_orderview SET status = 'open' WHERE id = %(confirmed)s",
        {"readmodel.orders"},
    ),
    "the read model shows other lines": (
        "readmodel",
        "UPDATE readmodel_orderview SET lines = jsonb_set(lines, '{0,quantity}', '1') WHERE id = %(confirmed)s",
        {"readmodel.orders"},
    ),
    "the read model shows another history": (
        "readmodel",
        "UPDATE readmodel_orderview SET history = history - 1 WHERE id = %(confirmed)s",
        {"readmodel.orders"},
    ),
    "the read model misses an order": (
        "readmodel",
        "DELETE FROM readmodel_orderview WHERE id = %(short)s",
        {"readmodel.orders"},
    ),
    "the read model shows an order that nobody placed": (
        "readmodel",
        "UPDATE readmodel_orderview SET id = gen_random_uuid() WHERE id = %(short)s",
        {"readmodel.orders"},
    ),
    "the read model shows another member's name on an order": (
        "readmodel",
        "UPDATE readmodel_orderview SET member_name = 'Eve' WHERE id = %(short)s",
        {"readmodel.names"},
    ),
    "the read model calls a member another name": (
        "readmodel",
        "UPDATE readmodel_membername SET name = 'Eve'; UPDATE readmodel_orderview SET member_name = 'Eve'",
        {"readmodel.members"},
    ),
    "a cursor is beyond the end of its lane": (
        "readmodel",
        "UPDATE readmodel_cursor SET position = position + 1000 WHERE source = 'members'",
        {"messaging.positions"},
    ),
    "more is acknowledged than was applied": (
        "default",
        "UPDATE members_subscription SET acknowledged = acknowledged + 1000, scanned = scanned + 1000",
        {"messaging.positions"},
    ),
    "more is scanned than there is": (
        "catalogue",
        "UPDATE catalogue_subscription SET scanned = scanned + 1000",
        {"messaging.positions"},
    ),
    "less is scanned than is acknowledged": (
        "default",
        "UPDATE members_subscription SET scanned = acknowledged - 1 WHERE acknowledged > 0",
        {"messaging.positions"},
    ),
    "a cursor follows another deployment's outbox": (
        "inventory",
        "UPDATE inventory_cursor SET outbox = gen_random_uuid() WHERE source = 'orders' AND lane = 0",
        {"messaging.identity"},
    ),
    "a producer has lost a fence that its consumer has heard of": (
        "inventory",
        "UPDATE inventory_cursor SET epoch = epoch + 1000 WHERE source = 'orders' AND epoch IS NOT NULL",
        {"messaging.identity"},
    ),
    "a wanted event was passed over": (
        "orders",
        "UPDATE orders_subscription AS s SET scanned = e.position, claim_from = 0, claim_to = e.position, "
        "claim_types = to_jsonb(array[e.type]) FROM orders_outboxevent AS e "
        "WHERE s.consumer = 'inventory' AND s.lane = e.lane AND e.key = %(undelivered)s",
        {"messaging.skipped"},
    ),
    "a type was wanted only from some position on": (
        "inventory",
        "UPDATE inventory_cursor SET types = types || jsonb_build_object('orders.order-created', position) "
        "WHERE source = 'orders' AND position > 0",
        {"messaging.wanted"},
    ),
    "an event is in another lane than its key's": (
        "inventory",
        "UPDATE inventory_outboxevent SET lane = (lane + 1) %% 4 "
        "WHERE position = (SELECT min(position) FROM inventory_outboxevent WHERE type = 'inventory.stock-changed')",
        {"messaging.lanes"},
    ),
    "a campaign is sold at another price than announced": (
        "marketing",
        "UPDATE marketing_campaign SET price = price + 1",
        {"marketing.announced"},
    ),
    "a campaign runs, though its product is not listed": (
        "marketing",
        "UPDATE marketing_productcopy SET listed = false WHERE sku = 'sofa'",
        {"marketing.listed", "marketing.products"},
    ),
    "marketing shows another name": (
        "marketing",
        "UPDATE marketing_productcopy SET name = 'Couch' WHERE sku = 'sofa'",
        {"marketing.products"},
    ),
    "the orders' copy of a campaign ends later": (
        "orders",
        "UPDATE orders_campaigncopy SET ends_at = ends_at + interval '1 second'",
        {"orders.campaigns"},
    ),
    "the orders' copy of a campaign is lost": (
        "orders",
        "DELETE FROM orders_campaigncopy",
        {"orders.campaigns"},
    ),
    "a member has taken less than its orders hold": (
        "orders",
        "UPDATE orders_campaigntaking SET taken = taken - 1",
        {"orders.takings"},
    ),
    "what a member took is not given back": (
        "orders",
        "UPDATE orders_campaigntaking SET taken = taken + 1",
        {"orders.takings"},
    ),
    "what a member took is forgotten": (
        "orders",
        "DELETE FROM orders_campaigntaking",
        {"orders.takings"},
    ),
    "an allotment is short of what was reserved": (
        "inventory",
        "UPDATE inventory_allotment SET taken = taken - 1",
        {"stock.allotments"},
    ),
    "a reservation is counted in no campaign": (
        "inventory",
        "UPDATE inventory_reservation SET campaign_id = NULL WHERE claim_id = %(sold)s",
        {"stock.allotments"},
    ),
    "a batch was never sent again": (
        "orders",
        "UPDATE orders_subscription SET batch = gen_random_uuid(), after = acknowledged, through = scanned, tries = 1, "
        "due_at = now() - interval '1 minute' WHERE consumer = 'readmodel' AND lane = 0",
        {"messaging.in_time"},
    ),
    "what shows an order was given up": (
        "readmodel",
        "DELETE FROM readmodel_orderview WHERE id = %(short)s;" + GIVEN_UP.format(context="readmodel", key="%(short)s"),
        {"letters.discarded"},
    ),
    "a claim was given up after its answer": (
        "inventory",
        "DELETE FROM inventory_claim WHERE order_id = %(short)s;"
        + GIVEN_UP.format(context="inventory", key="%(short)s"),
        {"letters.discarded", "stock.answered"},
    ),
    "an event of a credit account is lost": (
        "default",
        "DELETE FROM members_streamevent WHERE order_id = %(confirmed)s",
        {"credit.versions", "credit.announced", "credit.orders"},
    ),
    "a credit account lost its row": (
        "default",
        "DELETE FROM members_creditaccount",
        {"credit.versions"},
    ),
    "a snapshot is ahead of its stream": (
        "default",
        "UPDATE members_creditaccount SET version = 1000",
        {"credit.versions"},
    ),
    "a snapshot has another limit": (
        "default",
        'UPDATE members_creditaccount SET "limit" = "limit" + 1',
        {"credit.snapshots"},
    ),
    "more was reserved than the limit": (
        "default",
        "UPDATE members_streamevent SET data = data || '{\"amount\": 99999999}' WHERE order_id = %(confirmed)s",
        {"credit.limits", "credit.announced", "credit.orders"},
    ),
    "credit was released that was not reserved": (
        "default",
        "UPDATE members_streamevent SET data = data || '{\"amount\": 1000}' WHERE type = 'members.credit-released'",
        {"credit.limits", "credit.announced", "credit.orders"},
    ),
    "an answer about credit is lost from the log": (
        "default",
        LOSE.format(context="members", where="data ->> 'order_id' = %(confirmed)s"),
        {"credit.announced", "orders.answers"},
    ),
    "a limit was announced twice": (
        "default",
        EVENT_LIKE.format(context="members", type="type", data="data", where="type = 'members.credit-opened'"),
        {"credit.announced"},
    ),
    "credit is held for another order": (
        "default",
        "UPDATE members_streamevent SET order_id = gen_random_uuid() WHERE order_id = %(confirmed)s",
        {"credit.orders"},
    ),
    "the credit of a cancelled order is spent": (
        "default",
        "UPDATE members_streamevent SET type = 'members.credit-spent' WHERE type = 'members.credit-released'",
        {"credit.announced", "credit.orders"},
    ),
}
