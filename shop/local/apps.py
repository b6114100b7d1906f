from django.apps import AppConfig


class LocalConfig(AppConfig):
    name = "shop.local"
    label = "local"
