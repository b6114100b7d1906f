"""A shop that an older release left."""

from uuid import UUID

from orders.models import Order
from shop.messaging import models as messaging
from shop.messaging.consumer import retries
from shop.messaging.consumer.deadletters import resume
from shop.messaging.contexts import context
from tests.harness import Deliveries, Shop


class Left(Shop):
    """The shop, with its orders and members by what became of them; ``deliveries`` has the older release's messages."""

    def __init__(self, deliveries: Deliveries, *, orders: dict[str, str], members: dict[str, int]) -> None:
        super().__init__(deliveries)
        self.ids = orders
        self.members = members

    def named(self, name: str) -> Order:
        return Order.objects.get(pk=UUID(self.ids[name]))

    def statuses(self) -> dict[str, str]:
        """Of each order that has a name."""
        return {name: self.named(name).status for name in self.ids}

    def work_off(self) -> None:
        """Drain until every time-out has come, as workers and beat do."""
        self.drain()
        self.time_out()
        self.drain()

    def mend(self) -> None:
        """Resume every lane that is stopped, and retry every dead letter."""
        for cursor in self.cursors():
            if cursor.stopped:
                resume(cursor._meta.app_label, source=cursor.source, lane=cursor.lane)
        for letter in self.all_letters():
            retries.request(letter._meta.app_label, source=letter.source, keys=[letter.key], by="ada")
            retries.call_worker(letter._meta.app_label, source=letter.source)
        self.work_off()

    def outboxes(self) -> dict[str, messaging.Outbox]:
        """By context, of those that the older release had."""
        publishers = ("catalogue", "members", "orders", "inventory")
        return {label: context(label).table(messaging.Outbox).objects.get() for label in publishers}
