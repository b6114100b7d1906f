"""The inventory context."""

from shop.messaging.contexts import ContextConfig


class InventoryConfig(ContextConfig):
    default = True
    name = "inventory"
    label = "inventory"
