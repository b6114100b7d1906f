"""The members context."""

from shop.messaging.contexts import ContextConfig, Entry


class MembersConfig(ContextConfig):
    default = True
    name = "shop.members"
    label = "members"
    verbose_name = "Members"
    menu = (
        Entry("Members", "member", "group"),
        Entry("Users", "auth.user", "person"),
        Entry("Groups", "auth.group", "badge"),
        Entry("API tokens", "authtoken.tokenproxy", "key"),
    )
    roles = {"support": ("view_member",)}
