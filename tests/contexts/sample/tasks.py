"""What the sample does about events, and again and again."""

from celery import shared_task

from shop.messaging.aggregates import store
from shop.messaging.batches import Batch
from shop.messaging.reactions import consumes
from tests.contexts.sample.events import Greeted
from tests.contexts.sample.models import Greeting


@consumes("sample", Greeted)
def hear_greetings(batch: Batch) -> None:
    """Note that the greetings were heard."""
    greetings = list(Greeting.objects.filter(pk__in=[event.name for event in batch.of(Greeted)]))
    for greeting in greetings:
        greeting.heard = True
    store(*greetings)


@shared_task
def forget_greetings() -> None:
    """Do nothing: what is looked at is whether it is sent."""
