"""The members context."""

from shop.messaging.contexts import ContextConfig


class MembersConfig(ContextConfig):
    default = True
    name = "shop.members"
    label = "members"
