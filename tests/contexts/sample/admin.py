"""The sample in the admin."""

from django.contrib import admin

from shop.admin.pages import ReadOnlyPage
from tests.contexts.sample.models import Greeting


@admin.register(Greeting)
class GreetingPage(ReadOnlyPage):
    """Who was greeted."""

    list_display = ("name", "heard")
