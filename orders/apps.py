"""The orders context."""

from django.conf import settings

from shop.messaging.contexts import ContextConfig, Entry, Sweep


class OrdersConfig(ContextConfig):
    default = True
    name = "orders"
    label = "orders"
    verbose_name = "Orders"
    menu = (
        Entry("Orders", "order", "receipt_long"),
        Entry("Product copies", "productcopy", "content_copy"),
        Entry("Campaign copies", "campaigncopy", "campaign"),
    )
    roles = {
        "orders": ("view_order", "change_order"),
        "support": ("view_order", "view_productcopy", "view_campaigncopy", "view_membercopy"),
    }
    sweeps = (
        Sweep("expire-open-orders", "orders.tasks.expire_open_orders", every=settings.ORDER_SWEEP_INTERVAL),
        Sweep("forget-order-keys", "orders.tasks.forget_idempotency_keys", every=3600),
    )
