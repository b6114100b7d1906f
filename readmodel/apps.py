"""The readmodel context."""

from shop.messaging.contexts import ContextConfig


class ReadModelConfig(ContextConfig):
    default = True
    name = "readmodel"
    label = "readmodel"
