"""The admin's sidebar: what a shop has, by context, and the machinery between them."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from shop.admin.shown import list_url

MENU = (
    ("Orders", (("Orders", "orders_order", "receipt_long"), ("Product copies", "orders_productcopy", "content_copy"))),
    (
        "Inventory",
        (
            ("Stock", "inventory_stockitem", "inventory_2"),
            ("Ledger", "inventory_stockmovement", "swap_vert"),
            ("Claims of orders", "inventory_claim", "bookmark"),
        ),
    ),
    ("Catalogue", (("Products", "catalogue_product", "sell"),)),
    (
        "Members",
        (
            ("Members", "members_member", "group"),
            ("Users", "auth_user", "person"),
            ("Groups", "auth_group", "badge"),
            ("API tokens", "authtoken_tokenproxy", "key"),
        ),
    ),
    ("Read model", (("Orders with names", "readmodel_orderview", "table_view"),)),
)

NAMES = {
    "orders": "Orders",
    "inventory": "Inventory",
    "catalogue": "Catalogue",
    "members": "Members",
    "readmodel": "Read model",
}

MACHINERY = (
    ("events", "outboxevent", "outbox", ("orders", "inventory", "catalogue", "members")),
    ("subscriptions", "subscription", "send", ("orders", "inventory", "catalogue", "members")),
    ("cursors", "cursor", "move_to_inbox", ("orders", "inventory", "readmodel")),
    ("dead letters", "deadletter", "report", ("orders", "inventory", "readmodel")),
    ("retries", "letterretry", "replay", ("orders", "inventory", "readmodel")),
)


def navigation(request: HttpRequest) -> list[dict[str, Any]]:
    """The groups and links that the user may see."""
    machinery = [
        (f"{NAMES[label]}: {what}", f"{label}_{model}", icon)
        for what, model, icon, labels in MACHINERY
        for label in labels
    ]
    groups: list[tuple[str, Any]] = [*MENU, ("Machinery", machinery)]
    shown = [(title, _links(request, items)) for title, items in groups]
    return [{"title": title, "separator": True, "items": links} for title, links in shown if links]


def _links(request: HttpRequest, items: list[tuple[str, str, str]]) -> list[dict[str, Any]]:
    pages = {page.opts.label_lower.replace(".", "_"): page for page in admin.site._registry.values()}
    return [
        {"title": title, "icon": icon, "link": list_url(model)}
        for title, model, icon in items
        if model in pages and pages[model].has_view_permission(request)
    ]
