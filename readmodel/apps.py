"""The readmodel context."""

from shop.messaging.contexts import ContextConfig, Entry, Sweep


class ReadModelConfig(ContextConfig):
    default = True
    name = "readmodel"
    label = "readmodel"
    verbose_name = "Read model"
    menu = (Entry("Orders with names", "orderview", "table_view"),)
    roles = {"support": ("view_orderview",)}
    sweeps = (Sweep("rename-orders", "readmodel.tasks.rename_orders", every=5),)
