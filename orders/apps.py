"""The orders context."""

from shop.messaging.contexts import ContextConfig


class OrdersConfig(ContextConfig):
    default = True
    name = "orders"
    label = "orders"
