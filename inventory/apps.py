"""The inventory context."""

from shop.messaging.contexts import ContextConfig, Entry, Sweep


class InventoryConfig(ContextConfig):
    default = True
    name = "inventory"
    label = "inventory"
    verbose_name = "Inventory"
    menu = (
        Entry("Stock", "stockitem", "inventory_2"),
        Entry("Ledger", "stockmovement", "swap_vert"),
        Entry("Claims of orders", "claim", "bookmark"),
        Entry("Allotments of campaigns", "allotment", "pie_chart"),
    )
    roles = {
        "stock": ("view_stockitem", "change_stockitem", "view_stockmovement", "view_claim", "view_allotment"),
        "orders": ("view_claim",),
        "marketing": ("view_allotment",),
        "support": ("view_stockitem", "view_stockmovement", "view_claim", "view_allotment"),
    }
    sweeps = (Sweep("forget-inventory-keys", "inventory.tasks.forget_idempotency_keys", every=3600),)
