"""Whatever is placed, cancelled, lost, doubled, reordered, restored or killed, and whenever: it ends well.

``STATE_MACHINE_EXAMPLES=500`` runs so many examples, others each time.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Any

import hypothesis
from django.conf import settings
from django.db import connections
from django.utils import timezone
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

from inventory.services import receive_stock
from orders import services
from orders.models import Order, Status, UnableToCancel
from shop.console.audit import audit
from shop.messaging import broker, deadletters, steps
from shop.messaging.contexts import contexts
from shop.messaging.steps import Step
from tests.backups import Backup, backups
from tests.harness import Shop

EXAMPLES = int(os.environ.get("STATE_MACHINE_EXAMPLES", "0"))
PROFILE = hypothesis.settings(
    max_examples=EXAMPLES or 25,
    stateful_step_count=30,
    derandomize=not EXAMPLES,
    deadline=None,
    database=None,
    suppress_health_check=list(hypothesis.HealthCheck),
    # Order ids are random, and with them lanes: a shorter example need not fail in the same way.
    phases=[hypothesis.Phase.generate],
)

BASKETS = ((("phone", 1),), (("phone", 2),), (("phone", 1), ("case", 1)), (("case", 1), ("phone", 1)), (("case", 2),))

POISON = (("case", 4),)  # the inventory cannot take it until POISONED is mended
POISONED = "ALTER TABLE inventory_reservation ADD CONSTRAINT poison CHECK (quantity <> 4)"
MENDED = "ALTER TABLE inventory_reservation DROP CONSTRAINT IF EXISTS poison"

ROUNDS = 10  # time-outs, at the most, until everything is mended

any_one = st.integers(0, 20)  # of those that there are; a rule that finds none does nothing


class Killed(BaseException):
    """The process died here: nothing catches it."""


class Journey(RuleBasedStateMachine):
    def __init__(self, shop: Shop, members: list[int], start: dict[str, Backup]) -> None:
        super().__init__()
        self.shop = shop
        self.members = members
        self.orders: list[Order] = []
        self.by_key: dict[str, Order] = {}
        self.saved: Backup | None = None
        self.restored = False
        shop.deliveries.waiting.clear()
        for backup in start.values():
            backup.restore()
        run("inventory", POISONED)

    # Buyers and staff

    @rule(basket=st.sampled_from((*BASKETS, *BASKETS, POISON)), member=st.integers(0, 1))
    def place(self, basket: tuple[tuple[str, int], ...], member: int) -> None:
        self.orders.append(self.shop.place(*basket, member_id=self.members[member]))

    @rule(key=st.sampled_from(("first", "second")))
    def place_again(self, key: str) -> None:
        order = self.shop.place(("phone", 1), member_id=self.members[0], key=key)
        assert self.by_key.setdefault(key, order) == order
        self.orders.append(order)

    @rule(which=any_one)
    def cancel(self, which: int) -> None:
        with suppress(UnableToCancel):
            for order in one_of(self.orders, which):
                self.shop.cancel(order)

    @rule()
    def expire(self) -> None:
        services.expire_open_orders(at=timezone.now() + timedelta(days=1), limit=timedelta(hours=1))

    @rule(sku=st.sampled_from(("phone", "case")))
    def receive(self, sku: str) -> None:
        receive_stock(sku=sku, quantity=1, at=timezone.now())

    # The relay and the broker

    @rule()
    def scan(self) -> None:
        self.shop.scan()

    @rule(count=st.integers(1, 8))
    def deliver(self, count: int) -> None:
        for _ in range(min(count, len(self.shop.deliveries.waiting))):
            self.shop.deliveries.waiting.pop(0).deliver()

    @rule(which=any_one)
    def deliver_out_of_order(self, which: int) -> None:
        for delivery in one_of(self.shop.deliveries.waiting, which):
            self.shop.deliveries.waiting.remove(delivery)
            delivery.deliver()

    @rule(which=any_one)
    def deliver_and_keep(self, which: int) -> None:
        for delivery in one_of(self.shop.deliveries.waiting, which):
            delivery.deliver()

    @rule(which=any_one)
    def lose(self, which: int) -> None:
        for delivery in one_of(self.shop.deliveries.waiting, which):
            self.shop.deliveries.waiting.remove(delivery)

    @rule()
    def wipe_the_broker(self) -> None:
        self.shop.deliveries.waiting.clear()

    @rule()
    def scan_while_the_broker_is_away(self) -> None:
        self.shop.deliveries.away = True
        with suppress(broker.OperationalError):
            self.shop.scan()
        self.shop.deliveries.away = False

    @rule()
    def time_out(self) -> None:
        self.shop.time_out()

    # Disasters

    @rule(step=st.sampled_from(Step), skip=st.integers(0, 2), keep=st.booleans(), which=any_one)
    def kill_a_worker(self, step: Step, skip: int, keep: bool, which: int) -> None:
        """While it works on a message, which the broker may deliver again."""
        for delivery in one_of(self.shop.deliveries.waiting, which):
            if not keep:
                self.shop.deliveries.waiting.remove(delivery)
            with killed_at(step, skip):
                delivery.deliver()

    @rule(step=st.sampled_from((Step.BATCH_CHOSEN, Step.BATCH_RECORDED, Step.BATCH_SENT)), skip=st.integers(0, 5))
    def kill_the_relay(self, step: Step, skip: int) -> None:
        with killed_at(step, skip):
            self.shop.scan()

    @rule(basket=st.sampled_from(BASKETS))
    def kill_the_web_server(self, basket: tuple[tuple[str, int], ...]) -> None:
        before = Order.objects.count()
        with killed_at(Step.APPENDED):
            self.shop.place(*basket, member_id=self.members[0])
        assert Order.objects.count() == before

    @rule()
    def back_up_the_read_model(self) -> None:
        self.saved = Backup("readmodel")

    @rule()
    def restore_the_read_model(self) -> None:
        if self.saved:
            self.saved.restore()
            self.restored = True

    # Operators

    @rule(which=any_one)
    def retry_a_dead_letter(self, which: int) -> None:
        for letter in one_of(self.shop.all_letters(), which):
            deadletters.retry(letter.consumer, source=letter.source, key=letter.key)

    @rule()
    def look(self) -> None:
        """The audit holds at any moment; only a restored database is known by its cursors until it has healed."""
        by_time = {"messaging.in_time"}  # nobody scans here unless a rule does
        healing = {"messaging.positions"} if self.restored else set()
        assert set(audit().broken) <= by_time | healing

    # The end

    def teardown(self) -> None:
        """Mend what is broken and let time pass: every order is decided, and the audit has nothing to say."""
        run("inventory", MENDED)
        for _ in range(ROUNDS):
            self.shop.time_out()
            self.shop.drain()
            letters = self.shop.all_letters()
            for letter in letters:
                deadletters.retry(letter.consumer, source=letter.source, key=letter.key)
            if not letters and not any(resumed(app.label) for app in contexts()):
                break
        self.shop.drain()
        assert not self.shop.all_letters()
        report = audit()
        assert report.broken == [], [(result.invariant.name, result.rows) for result in report.results if result.rows]
        assert not Order.objects.filter(status=Status.OPEN).exists()
        assert Order.objects.count() == len({order.pk for order in self.orders})


def one_of(things: list[Any], which: int) -> list[Any]:
    return [things[which % len(things)]] if things else []


@contextmanager
def killed_at(step: Step, skip: int = 0) -> Iterator[None]:
    """Die when a step is reached, or reached again after so many times; if it is."""
    left = skip

    def die(reached: Step) -> None:
        nonlocal left
        if reached == step:
            left -= 1
            if left < 0:
                raise Killed

    before: Callable[[Step], None] = steps.at_each_step
    steps.at_each_step = die
    try:
        with suppress(Killed):
            yield
    finally:
        steps.at_each_step = before


def resumed(label: str) -> int:
    """How many lanes of a consumer were stopped, and go on now."""
    cursors = [app for app in contexts() if app.label == label and "cursor" in app.models]
    stopped = [row for app in cursors for row in app.table("Cursor").objects.exclude(stopped="")]
    return sum(deadletters.resume(label, source=cursor.source, lane=cursor.lane) for cursor in stopped)


def run(alias: str, sql: str) -> None:
    with connections[alias].cursor() as cursor:
        cursor.execute(sql)


def test_it_always_ends_with_every_order_decided_and_a_clean_audit(shop: Shop) -> None:
    members = [shop.member("ada").pk, shop.member("bob").pk]
    shop.sell("phone", stock=3)
    shop.sell("case", stock=6)
    shop.drain()
    start = backups(settings.DATABASES)
    try:
        run_state_machine_as_test(lambda: Journey(shop, members, start), settings=PROFILE)
    finally:
        run("inventory", MENDED)
