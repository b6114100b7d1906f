"""The messaging as a Django app. It has no tables: each context has its own."""

from django.apps import AppConfig
from django.utils.module_loading import autodiscover_modules


class MessagingConfig(AppConfig):
    name = "shop.messaging"
    label = "messaging"

    def ready(self) -> None:
        """Load every context's consumers, in web processes too: the admin shows them."""
        from shop.messaging import checks  # noqa: F401  # registers them

        autodiscover_modules("tasks")
