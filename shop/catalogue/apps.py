"""The catalogue context."""

from shop.messaging.contexts import ContextConfig


class CatalogueConfig(ContextConfig):
    default = True
    name = "shop.catalogue"
    label = "catalogue"
