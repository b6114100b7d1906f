"""The marketing context."""

from shop.messaging.contexts import ContextConfig, Entry, Sweep


class MarketingConfig(ContextConfig):
    default = True
    name = "shop.marketing"
    label = "marketing"
    verbose_name = "Marketing"
    menu = (Entry("Campaigns", "campaign", "campaign"), Entry("Product copies", "productcopy", "content_copy"))
    roles = {
        "marketing": ("view_campaign", "add_campaign", "change_campaign", "view_productcopy"),
        "support": ("view_campaign", "view_productcopy"),
    }
    sweeps = (Sweep("forget-marketing-keys", "shop.marketing.tasks.forget_idempotency_keys", every=3600),)
