"""What tests hold a shop by: commands, a broker that they can bend, and ``drain()``."""

import json
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from threading import Thread
from typing import Any, TypeVar

import pytest
from celery import current_app
from django.conf import settings
from django.db import connections
from django.utils import timezone

from inventory import services as inventory
from inventory.models import Claim, StockItem, StockMovement
from orders import services as orders
from orders.events import CancelledByMember
from orders.models import Order
from orders.policies import Wanted
from readmodel.models import OrderView
from shop.catalogue import services as catalogue
from shop.marketing import services as marketing
from shop.marketing.models import Campaign
from shop.members import services as members
from shop.members.models import CreditAccount
from shop.messaging import broker, signing
from shop.messaging import models as messaging
from shop.messaging.consumer import patience
from shop.messaging.contexts import context, contexts, publishers
from shop.messaging.producer.relay import relay

T = TypeVar("T")

PROMPT = 5  # seconds, on a busy machine, for what waits for nobody: who waits for a lock waits 20, or for ever


def in_background(work: Callable[[], T]) -> "Future[T]":
    """Run ``work`` on a thread of its own, with database connections of its own, closed when it ends."""
    future: Future[T] = Future()

    def run() -> None:
        try:
            result = work()
        except BaseException as error:
            connections.close_all()
            future.set_exception(error)
        else:
            connections.close_all()
            future.set_result(result)

    Thread(target=run, daemon=True).start()
    return future


def eventually(condition: Callable[[], T], *, seconds: float = 30) -> T:
    """Wait until ``condition`` holds. :raises AssertionError: if it never does."""
    end = time.monotonic() + seconds
    while not (held := condition()):
        assert time.monotonic() < end, "it never came to be"
        time.sleep(0.005)
    return held


def waiting_for_locks(alias: str) -> int:
    """How many locks of a server are waited for; to be asked in a transaction, too."""
    with connections[alias].cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
        return int(cursor.fetchone()[0])


def name_participants(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    """Have new orders name these contexts as their participants."""
    monkeypatch.setattr(settings, "ORDER_PARTICIPANTS", list(names))


def database_urls() -> dict[str, str]:
    """The environment in which a process of its own finds the test databases."""
    urls = {}
    for label, alias in settings.CONTEXTS.items():
        database = connections[alias].settings_dict
        account = f"{database['USER']}:{database['PASSWORD']}@" if database["USER"] else ""
        host = database["HOST"].replace("/", "%2F")
        port = f":{database['PORT']}" if database["PORT"] else ""
        urls[f"{label.upper()}_DATABASE_URL"] = f"postgresql://{account}{host}{port}/{database['NAME']}"
    return urls


@dataclass(frozen=True)
class Delivery:
    """A message on its way."""

    task: str
    queue: str
    kwargs: dict[str, Any]

    def deliver(self) -> None:
        """Hand it to its task, in this process."""
        current_app.tasks[self.task](**self.kwargs)


@dataclass
class Deliveries:
    """A broker that delivers when, how often and in which order the test says. Messages travel as JSON."""

    waiting: list[Delivery] = field(default_factory=list)
    away: bool = False

    def take_over(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(broker, "send", self.send)
        monkeypatch.setattr(broker, "is_backed_up", lambda queue: False)
        monkeypatch.setattr(patience, "PAUSES", (0, 0))

    def send(self, task: str, queue: str, *, extensions: Mapping[str, Any] = broker.NONE, **arguments: Any) -> None:
        """A receiver reads both as one message, so a test that sends none of the later fields leaves them out."""
        if self.away:
            raise broker.OperationalError("the broker is away")
        message = {**arguments, **extensions}
        self.waiting.append(
            Delivery(task, queue, json.loads(json.dumps(message | signing.signature_of(task, message))))
        )

    def next(self, task: str = "") -> Delivery:
        """Take the first message out, of a task if one is given."""
        delivery = next(d for d in self.waiting if task in d.task)
        self.waiting.remove(delivery)
        return delivery

    def take(self, queue: str, **arguments: Any) -> list[Delivery]:
        """Take out all messages to a queue, or of those the ones with these arguments."""
        taken = [d for d in self.waiting if d.queue == queue and arguments.items() <= d.kwargs.items()]
        self.waiting = [d for d in self.waiting if d not in taken]
        return taken

    def run(self) -> int:
        """Deliver everything, and what comes of it; how many were delivered."""
        count = 0
        while self.waiting:
            self.waiting.pop(0).deliver()
            count += 1
        return count


class Shop:
    """The shop as its services offer it, with one member, and time that can be moved on."""

    def __init__(self, deliveries: Deliveries) -> None:
        self.deliveries = deliveries

    # Commands

    def member(self, username: str = "ada") -> Any:
        return members.join(username=username, name=username.title())

    def sell(self, sku: str, *, price: int = 100, stock: int = 0, **fields: Any) -> None:
        """Have a product in the catalogue, with stock."""
        catalogue.add_product(sku=sku, name=sku.title(), category="things", price=price, **fields)
        if stock:
            inventory.receive_stock(sku=sku, quantity=stock, at=timezone.now())

    def campaign(self, sku: str, *, at: Any = None, **details: Any) -> Campaign:
        """Have a campaign that runs now, for an hour, unless ``details`` say otherwise; times are hours from now."""
        at = at or timezone.now()
        whole = {"price": 50, "starts_at": -1, "ends_at": 1, "limit_per_member": 2, "allotment": 5} | details
        for name in ("starts_at", "ends_at"):
            if not isinstance(whole[name], datetime):
                whole[name] = at + timedelta(hours=whole[name])
        return marketing.schedule_campaign(sku=sku, at=at, **whole)

    def place(self, *lines: tuple[str, int], member_id: int = 1, key: str | None = None) -> Order:
        self.give_credit(member_id)
        wanted = [Wanted(sku, quantity) for sku, quantity in lines]
        order, _ = orders.place_order(member_id=member_id, lines=wanted, key=key, at=timezone.now())
        return order

    def give_credit(self, member_id: int) -> None:
        """Have an account for whoever orders, also where no such member ever joined: the order is not about credit."""
        if not CreditAccount.objects.filter(pk=member_id).exists():
            members.retrying(lambda: self._open_account(member_id))

    def _open_account(self, member_id: int) -> None:
        accounts = members.Accounts(members=[member_id])
        if accounts.get(member_id) is None:
            accounts.open(member_id, limit=settings.NEW_MEMBER_CREDIT, at=timezone.now())
        members.store_with_accounts(*accounts.changed())

    def cancel(self, order: Order) -> Order:
        return orders.cancel_order(order_id=order.pk, reason=CancelledByMember(), at=timezone.now())

    def ship(self, order: Order) -> Order:
        return orders.ship_order(order_id=order.pk, at=timezone.now())

    def take_back(self, order: Order, *lines: tuple[str, int]) -> Order:
        """Have goods of the order come back."""
        return orders.return_goods(order_id=order.pk, lines=[Wanted(*line) for line in lines], at=timezone.now())

    # Time and messages

    def scan(self, *labels: str) -> int:
        """What beat's scans do: relay every outbox, or some."""
        return sum(relay(label) for label in labels or [app.label for app in publishers()])

    def drain(self) -> None:
        """Run relay and consumers until the system is quiet."""
        while self.scan() + self.deliveries.run():
            pass

    def time_out(self, *labels: str) -> None:
        """Let the time-outs of all relays, or of some, come: what is in flight is sent again, the idle are asked."""
        for app in map(context, labels) if labels else publishers():
            app.table(messaging.Subscription).objects.update(due_at=timezone.now() - timedelta(seconds=1))

    # Queries

    def order(self, order: Order) -> Order:
        return Order.objects.get(pk=order.pk)

    def stock(self, sku: str) -> tuple[int, int]:
        """(available, reserved)"""
        item = StockItem.objects.get(pk=sku)
        return item.available, item.reserved

    def movements(self, sku: str) -> list[tuple[str, int]]:
        """(kind, quantity) of each, oldest first."""
        return list(StockMovement.objects.filter(sku=sku).order_by("id").values_list("kind", "quantity"))

    def claim(self, order: Order) -> Claim:
        return Claim.objects.get(pk=order.pk)

    def view(self, order: Order) -> OrderView:
        return OrderView.objects.get(pk=order.pk)

    def letters(self, label: str) -> Any:
        return context(label).table(messaging.DeadLetter).objects.filter(discarded_at=None)

    def cursors(self) -> list[Any]:
        """Every consumer's cursors."""
        return [
            row for app in contexts() if "cursor" in app.models for row in app.table(messaging.Cursor).objects.all()
        ]

    def subscriptions(self) -> list[Any]:
        """Every producer's subscriptions."""
        return [row for app in publishers() for row in app.table(messaging.Subscription).objects.all()]

    def all_letters(self) -> list[Any]:
        return [x for app in contexts() if "deadletter" in app.models for x in self.letters(app.label)]
