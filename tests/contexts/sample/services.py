"""What can be done to the sample."""

from django.db import transaction

from shop.messaging.aggregates import store
from tests.contexts.sample.models import Greeting


def greet(name: str) -> None:
    """Greet somebody for the first time."""
    with transaction.atomic(using="sample"):
        store(Greeting.of(name))
