"""The members context."""

from django.contrib.auth.signals import user_logged_in, user_login_failed

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

    def ready(self) -> None:
        super().ready()
        from shop.members import signin  # needs the models

        user_logged_in.connect(signin.take_back_attempt, dispatch_uid="shop.members.signin")
        user_login_failed.connect(signin.log_failure, dispatch_uid="shop.members.signin")
