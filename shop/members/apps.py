"""The members context."""

from django.contrib.auth.signals import user_logged_in, user_login_failed

from shop.messaging.contexts import ContextConfig, Entry, Sweep


class MembersConfig(ContextConfig):
    default = True
    name = "shop.members"
    label = "members"
    verbose_name = "Members"
    menu = (
        Entry("Members", "member", "group"),
        Entry("Credit", "creditaccount", "account_balance_wallet"),
        Entry("Credit events", "streamevent", "list_alt"),
        Entry("Users", "auth.user", "person"),
        Entry("Groups", "auth.group", "badge"),
        Entry("API tokens", "authtoken.tokenproxy", "key"),
    )
    roles = {
        "credit": ("view_member", "view_creditaccount", "change_creditaccount", "view_streamevent"),
        "support": ("view_member", "view_creditaccount", "view_streamevent"),
    }
    sweeps = (Sweep("forget-member-keys", "shop.members.tasks.forget_idempotency_keys", every=3600),)

    def ready(self) -> None:
        super().ready()
        from shop.members import signin  # needs the models

        user_logged_in.connect(signin.take_back_attempt, dispatch_uid="shop.members.signin")
        user_login_failed.connect(signin.log_failure, dispatch_uid="shop.members.signin")
