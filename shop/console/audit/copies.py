"""Products and members: what their contexts announced, and the copies that others keep of it."""

from collections.abc import Iterator

from shop.console.audit.evidence import UP_TO, Evidence, Finding, Needs
from shop.console.audit.invariants import Family, invariant
from shop.console.audit.merging import differences, side_by_side
from shop.console.audit.snapshots import Row

PRODUCTS_ANNOUNCED = f"""
SELECT key, facts ->> 'name' AS name, facts ->> 'category' AS category, (facts ->> 'price')::bigint AS price, listed
FROM (
    SELECT key COLLATE "C" AS key,
           (array_agg(data ORDER BY position DESC)
            FILTER (WHERE type IN ('catalogue.product-added', 'catalogue.product-changed')))[1] AS facts,
           (array_agg(CASE type WHEN 'catalogue.product-listed' THEN true WHEN 'catalogue.product-delisted' THEN false
                      ELSE (data ->> 'listed')::boolean END ORDER BY position DESC))[1] AS listed
    FROM catalogue_outboxevent AS e {UP_TO} GROUP BY 1
) AS folded ORDER BY key
"""

MEMBERS_ANNOUNCED = f"""
SELECT DISTINCT ON (key) key, data ->> 'name' AS name, (data ->> 'active')::boolean AS active
FROM (
    SELECT key COLLATE "C" AS key, position, data FROM members_outboxevent AS e {UP_TO}
    WHERE type IN ('members.member-joined', 'members.member-changed')
) AS announced
ORDER BY key, position DESC
"""

PRODUCTS = 'SELECT sku COLLATE "C" AS key, name, category, price, listed FROM {table} ORDER BY 1'

MARKETED = 'SELECT sku COLLATE "C" AS key, name, listed FROM marketing_productcopy ORDER BY 1'

MEMBERS = 'SELECT {id}::text COLLATE "C" AS key, {fields} FROM {table} ORDER BY 1'

AVAILABILITY_ANNOUNCED = f"""
SELECT DISTINCT ON (key) key, type = 'inventory.stock-depleted' AS sold_out FROM (
    SELECT key COLLATE "C" AS key, position, type FROM inventory_outboxevent AS e {UP_TO}
    WHERE type IN ('inventory.stock-depleted', 'inventory.stock-replenished')
) AS announced ORDER BY key, position DESC
"""

CLOSED = 'SELECT sku COLLATE "C" AS key FROM orders_productcopy WHERE sold_out ORDER BY 1'

ITEMS = 'SELECT sku COLLATE "C" AS key FROM inventory_stockitem ORDER BY 1'


def compared(announced: Iterator[Row], kept: Iterator[Row], *, blank: Row | None = None) -> Iterator[tuple[str, Row]]:
    """Yield the rows that are not as they were announced. ``blank``: what a row has while nothing was announced."""
    for key, latest, row in side_by_side(announced, kept):
        expected = latest or blank
        if row is None:
            yield key, {"key": key, "fault": "announced, not kept"}
        elif expected is None:
            yield key, {"key": key, "fault": "kept, never announced"}
        elif wrong := differences({field: expected[field] for field in row if field != "key"}, row):
            yield key, {"key": key, **wrong}


@invariant("catalogue.announced", "Each product is as it was announced.")
def products_announced(evidence: Evidence) -> Iterator[Finding]:
    announced = evidence.state["catalogue"].stream(PRODUCTS_ANNOUNCED, evidence.everything("catalogue"))
    rows = PRODUCTS.format(table="catalogue_product")
    return evidence.beside_letters(compared(announced, evidence.state["catalogue"].stream(rows)))


@invariant("members.announced", "Each member is as it was announced.")
def members_announced(evidence: Evidence) -> Iterator[Finding]:
    announced = evidence.state["members"].stream(MEMBERS_ANNOUNCED, evidence.everything("members"))
    rows = MEMBERS.format(id="user_id", fields="name, active", table="members_member")
    return evidence.beside_letters(compared(announced, evidence.state["members"].stream(rows)))


@invariant("orders.products", "The orders' copy of each product is as the catalogue announced it.")
def product_copies(evidence: Evidence) -> Iterator[Finding]:
    announced = evidence.log["catalogue"].stream(PRODUCTS_ANNOUNCED, evidence.cursors("orders", "catalogue"))
    kept = evidence.state["orders"].stream(PRODUCTS.format(table="orders_productcopy"))
    return evidence.beside_letters(compared(announced, kept), ("orders", "catalogue"))


@invariant("orders.members", "The orders' copy of each member is as the members context announced it.")
def member_copies(evidence: Evidence) -> Iterator[Finding]:
    announced = evidence.log["members"].stream(MEMBERS_ANNOUNCED, evidence.cursors("orders", "members"))
    rows = MEMBERS.format(id="member_id", fields="active", table="orders_membercopy")
    return evidence.beside_letters(compared(announced, evidence.state["orders"].stream(rows)), ("orders", "members"))


@invariant("marketing.products", "Marketing's copy of each product is as the catalogue announced it.")
def marketed(evidence: Evidence) -> Iterator[Finding]:
    announced = evidence.log["catalogue"].stream(PRODUCTS_ANNOUNCED, evidence.cursors("marketing", "catalogue"))
    kept = evidence.state["marketing"].stream(MARKETED)
    return evidence.beside_letters(compared(announced, kept), ("marketing", "catalogue"))


@invariant("readmodel.members", "The read model's name of each member is as the members context announced it.")
def member_names(evidence: Evidence) -> Iterator[Finding]:
    announced = evidence.log["members"].stream(MEMBERS_ANNOUNCED, evidence.cursors("readmodel", "members"))
    rows = MEMBERS.format(id="member_id", fields="name", table="readmodel_membername")
    differing = compared(announced, evidence.state["readmodel"].stream(rows), blank={"name": ""})
    return evidence.beside_letters(differing, ("readmodel", "members"))


# The other way round proves nothing: that a product is sold out may have been heard before its copy was there.
@invariant("orders.sold_out", "Orders refuse a product as sold out only if the inventory last said that it is.")
def sold_out(evidence: Evidence) -> Iterator[Finding]:
    announced = evidence.log["inventory"].stream(
        AVAILABILITY_ANNOUNCED, evidence.cursors("orders.availability", "inventory")
    )
    closed = evidence.state["orders"].stream(CLOSED)
    wrongly = (
        (sku, {"sku": sku, "fault": "refused as sold out, though the inventory did not say so last"})
        for sku, last, copy in side_by_side(announced, closed)
        if copy is not None and not (last and last["sold_out"])
    )
    return evidence.beside_letters(wrongly, ("orders.availability", "inventory"))


@invariant("stock.items", "Each product that the inventory heard of has a stock item.")
def stock_items(evidence: Evidence) -> Iterator[Finding]:
    announced = evidence.log["catalogue"].stream(PRODUCTS_ANNOUNCED, evidence.cursors("inventory", "catalogue"))
    items = evidence.state["inventory"].stream(ITEMS)
    missing = (
        (sku, {"sku": sku, "name": product["name"]})
        for sku, product, item in side_by_side(announced, items)
        if product is not None and item is None
    )
    return evidence.beside_letters(missing, ("inventory", "catalogue"))


FAMILIES = (
    Family("announced", Needs(state=("catalogue", "members")), (products_announced, members_announced)),
    Family(
        "copies of products",
        Needs(state=("orders", "inventory", "marketing"), log=("catalogue",)),
        (product_copies, stock_items, marketed),
    ),
    Family("gates", Needs(state=("orders",), log=("inventory",)), (sold_out,)),
    Family("copies of members", Needs(state=("orders", "readmodel"), log=("members",)), (member_copies, member_names)),
)
