"""The shop on one machine: embedded servers, and the processes behind ``make up``."""

from django.apps import AppConfig


class LocalConfig(AppConfig):
    name = "shop.local"
    label = "local"
