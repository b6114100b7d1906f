"""Buyers over HTTP, and the sale that they are after."""

from django.apps import AppConfig


class FlashSaleConfig(AppConfig):
    name = "shop.flashsale"
    label = "flashsale"
