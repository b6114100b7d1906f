"""The catalogue context."""

from shop.messaging.contexts import ContextConfig, Entry, Sweep


class CatalogueConfig(ContextConfig):
    default = True
    name = "shop.catalogue"
    label = "catalogue"
    verbose_name = "Catalogue"
    menu = (Entry("Products", "product", "sell"),)
    roles = {"catalogue": ("view_product", "add_product", "change_product"), "support": ("view_product",)}
    sweeps = (Sweep("forget-catalogue-keys", "shop.catalogue.tasks.forget_idempotency_keys", every=3600),)
