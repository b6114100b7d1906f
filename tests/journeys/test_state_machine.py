"""Whatever is placed, cancelled, lost, doubled, reordered, restored or killed, and whenever: it ends well.

Some examples are always run, the same ones each time, and more of them with the slow tests.
``STATE_MACHINE_EXAMPLES=500`` runs so many, others each time.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from random import Random
from typing import Any

import hypothesis
import pytest
from django.conf import settings
from django.db import connections
from django.test import override_settings
from django.utils import timezone
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

from inventory.services import receive_stock
from orders import services
from orders.models import Order, Status, UnableToCancel, UnableToReturn, UnableToShip
from orders.policies import Wanted
from orders.services import OrderRefused
from shop.console.audit import audit
from shop.messaging import broker, failpoints
from shop.messaging import models as messaging
from shop.messaging.consumer import deadletters
from shop.messaging.contexts import contexts
from shop.messaging.failpoints import Failpoint
from tests.backups import Backup, backups
from tests.harness import Shop

EXAMPLES = int(os.environ.get("STATE_MACHINE_EXAMPLES", "0"))
PROFILE = hypothesis.settings(
    stateful_step_count=30,
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
DELIVERIES = 3000  # at the most, until it is quiet
SMALL = 3  # events in a batch, so that there are many

# Drawn at once from a seed: Hypothesis would spend its imagination on them alone.
FATES = {"delivered": 80, "delivered again later": 6, "overtakes": 8, "lost": 6}
seeds = st.integers(0, 2**32)
fates = st.builds(
    lambda seed, count: Random(seed).choices(list(FATES), list(FATES.values()), k=count), seeds, st.integers(0, 40)
)
steps_of_the_protocol = st.builds(lambda seed: Random(seed).choice(list(Failpoint)[1:]), seeds)
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
        self.saved = start["readmodel"]
        self.restored = False
        shop.deliveries.waiting.clear()
        for backup in start.values():
            backup.restore()
        run("inventory", POISONED)

    # Buyers and staff

    @rule(baskets=st.lists(st.sampled_from((*BASKETS, *BASKETS, POISON)), min_size=1, max_size=4), fates=fates)
    def place(self, baskets: list[tuple[tuple[str, int], ...]], fates: list[str]) -> None:
        receive_stock(sku="phone", quantity=1, at=timezone.now())
        for number, basket in enumerate(baskets):
            with suppress(OrderRefused):  # it may be sold out
                self.orders.append(self.shop.place(*basket, member_id=self.members[number % 2]))
        self.flow(fates)

    @rule(key=st.sampled_from(("first", "second")))
    def place_again(self, key: str) -> None:
        with suppress(OrderRefused):
            order = self.shop.place(("phone", 1), member_id=self.members[0], key=key)
            assert self.by_key.setdefault(key, order) == order
            self.orders.append(order)

    @rule(which=any_one)
    def cancel(self, which: int) -> None:
        with suppress(UnableToCancel):
            for order in one_of(self.orders, which):
                self.shop.cancel(order)

    @rule(which=any_one)
    def ship(self, which: int) -> None:
        with suppress(UnableToShip):
            for order in one_of(self.orders, which):
                services.ship_order(order_id=order.pk, at=timezone.now())

    @rule(which=any_one, sku=st.sampled_from(("phone", "case")))
    def take_back(self, which: int, sku: str) -> None:
        """One piece, if the order was shipped and has so much left."""
        with suppress(UnableToReturn):
            for order in one_of(self.orders, which):
                services.return_goods(order_id=order.pk, lines=[Wanted(sku, 1)], at=timezone.now())

    @rule(which=any_one, fates=fates)
    def live_on(self, which: int, fates: list[str]) -> None:
        """An order is decided, shipped and comes back, if nothing happens to it: single rules rarely meet like that."""
        self.drain()
        self.ship(which)
        self.flow(fates)
        self.take_back(which, "phone")
        self.take_back(which, "case")

    @rule(which=any_one)
    def expire(self, which: int) -> None:
        """What was placed before one of the orders is late."""
        for order in one_of(self.orders, which):
            limit = timedelta(hours=1)
            services.expire_open_orders(at=order.placed_at + limit, limit=limit)

    # The relay and the broker

    @rule(fates=fates)
    def flow(self, fates: list[str]) -> None:
        """Each message meets a fate of its own; when there is none, the outboxes are scanned."""
        waiting = self.shop.deliveries.waiting
        for fate in fates:
            if not waiting:
                self.shop.scan()
            elif fate == "lost":
                waiting.pop(0)
            elif fate == "delivered again later":
                waiting.append(waiting[0])
                waiting.pop(0).deliver()
            elif fate == "overtakes":
                waiting.pop().deliver()
            else:
                waiting.pop(0).deliver()

    @rule(fates=fates)
    def flow_while_the_broker_is_away(self, fates: list[str]) -> None:
        """What is taken from it was taken before."""
        self.shop.deliveries.away = True
        with suppress(broker.OperationalError):
            self.flow(fates)
        self.shop.deliveries.away = False

    @rule(wiped=st.booleans())
    def time_out(self, wiped: bool) -> None:
        """Wait for long; the broker may be empty then."""
        if wiped:
            self.shop.deliveries.waiting.clear()
        self.shop.time_out()

    # Disasters

    @rule(step=steps_of_the_protocol, skip=st.integers(0, 3), fates=fates)
    def kill(self, step: Failpoint, skip: int, fates: list[str]) -> None:
        """Whoever reaches that step: the message it works on is lost, or delivered again."""
        with killed_at(step, skip):
            self.flow(fates)

    @rule(step=steps_of_the_protocol, skip=st.integers(0, 3), fates=fates)
    def kill_once_more(self, step: Failpoint, skip: int, fates: list[str]) -> None:
        """Disasters are rare among the rules, which are chosen alike."""
        self.kill(step, skip, fates)

    @rule(basket=st.sampled_from(BASKETS))
    def kill_the_web_server(self, basket: tuple[tuple[str, int], ...]) -> None:
        before = Order.objects.count()
        with killed_at(Failpoint.APPENDED), suppress(OrderRefused):
            self.shop.place(*basket, member_id=self.members[0])
        assert Order.objects.count() == before

    @rule(first=st.booleans(), fates=fates)
    def restore_the_read_model(self, first: bool, fates: list[str]) -> None:
        """From a backup of just before, or from the one before that; what was on its way arrives at the old one."""
        backup, self.saved = (self.saved if first else Backup("readmodel")), Backup("readmodel")
        self.flow(fates)
        backup.restore()
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
        self.drain()  # an old acknowledgement may yet arrive: only the next time-out tells it from the truth
        for _ in range(ROUNDS):
            self.shop.time_out()
            self.drain()
            letters = self.shop.all_letters()
            for letter in letters:
                deadletters.retry(letter.consumer, source=letter.source, key=letter.key)
            if not letters and not any(resumed(app.label) for app in contexts()):
                break
        self.drain()
        assert not self.shop.all_letters()
        report = audit()
        assert report.broken == [], [(result.invariant.name, result.rows) for result in report.results if result.rows]
        assert not Order.objects.filter(status=Status.OPEN).exists()
        assert Order.objects.count() == len({order.pk for order in self.orders})

    def drain(self) -> None:
        """As the shop's own, but it notices when that never ends."""
        for _ in range(DELIVERIES):
            if self.shop.deliveries.waiting:
                self.shop.deliveries.waiting.pop(0).deliver()
            elif not self.shop.scan():
                return
        raise AssertionError("The messages never come to an end.")


def one_of(things: list[Any], which: int) -> list[Any]:
    return [things[which % len(things)]] if things else []


@contextmanager
def killed_at(step: Failpoint, skip: int = 0) -> Iterator[None]:
    """Die when a step is reached, or reached again after so many times; if it is."""
    left = skip

    def die(reached: Failpoint) -> None:
        nonlocal left
        if reached == step:
            left -= 1
            if left < 0:
                raise Killed

    before: Callable[[Failpoint], None] = failpoints.at_each_failpoint
    failpoints.at_each_failpoint = die
    try:
        with suppress(Killed):
            yield
    finally:
        failpoints.at_each_failpoint = before


def resumed(label: str) -> int:
    """How many lanes of a consumer were stopped, and go on now."""
    cursors = [app for app in contexts() if app.label == label and "cursor" in app.models]
    stopped = [row for app in cursors for row in app.table(messaging.Cursor).objects.exclude(stopped="")]
    return sum(deadletters.resume(label, source=cursor.source, lane=cursor.lane) for cursor in stopped)


def run(alias: str, sql: str) -> None:
    with connections[alias].cursor() as cursor:
        cursor.execute(sql)


@pytest.mark.parametrize(
    ("examples", "seed"), [(EXAMPLES or 3, None if EXAMPLES else 1), pytest.param(5, 2, marks=pytest.mark.slow)]
)
def test_it_always_ends_with_every_order_decided_and_a_clean_audit(shop: Shop, examples: int, seed: int | None) -> None:
    members = [shop.member("ada").pk, shop.member("bob").pk]
    shop.sell("phone", stock=3)
    shop.sell("case", stock=6)
    shop.drain()
    start = backups(settings.DATABASES)

    def journey() -> Journey:
        return Journey(shop, members, start)

    try:
        with override_settings(RELAY_EVENTS=SMALL):
            run_state_machine_as_test(
                journey if seed is None else hypothesis.seed(seed)(journey),
                settings=hypothesis.settings(PROFILE, max_examples=examples),
            )
    finally:
        run("inventory", MENDED)
