"""The messaging as a Django app: it has no tables of its own, each context has them."""

from django.apps import AppConfig
from django.utils.module_loading import autodiscover_modules


class MessagingConfig(AppConfig):
    name = "shop.messaging"
    label = "messaging"

    def ready(self) -> None:
        """Know every consumer, in web processes too: an operator retries dead letters from the admin."""
        autodiscover_modules("tasks")
