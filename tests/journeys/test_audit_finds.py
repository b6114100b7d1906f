"""What the audit finds: each thing is broken by SQL, and exactly the invariants that it breaks are named."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import pytest
from django.conf import settings
from django.db import connections
from pytest_django import DjangoDbBlocker

from orders.models import Order
from shop.console.audit import audit
from shop.console.audit.running import INVARIANTS
from tests.backups import Backup, backups
from tests.harness import Deliveries, Shop, name_participants
from tests.journeys.corruptions import CORRUPTIONS


class Orders(NamedTuple):
    """One order of each kind, ``sold`` in a campaign; of ``undelivered`` only the orders context knows."""

    confirmed: Order
    short: Order
    cancelled: Order
    shipped: Order
    sold: Order
    undelivered: Order


@pytest.fixture(scope="module")
def placed(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[Orders]:
    """Made once: each test puts back what it broke."""
    with django_db_blocker.unblock(), pytest.MonkeyPatch.context() as monkeypatch:
        empty = backups(settings.DATABASES)
        deliveries = Deliveries()
        deliveries.take_over(monkeypatch)
        name_participants(monkeypatch, "inventory", "members")
        yield _placed(Shop(deliveries))
        for backup in empty.values():
            backup.restore()


def _placed(shop: Shop) -> Orders:
    member = shop.member()
    shop.sell("phone", stock=3)
    shop.sell("case", stock=1)
    shop.sell("cover")
    shop.sell("lamp", stock=2)
    shop.sell("sofa", stock=9)
    shop.drain()
    shop.campaign("sofa", limit_per_member=5)
    shop.drain()
    sold = shop.place(("sofa", 2), member_id=member.pk)
    confirmed = shop.place(("phone", 2), member_id=member.pk, key="one")
    short = shop.place(("phone", 2), ("case", 5), member_id=member.pk)
    cancelled = shop.place(("case", 1), member_id=member.pk)
    shipped = shop.place(("lamp", 2), member_id=member.pk)
    shop.drain()
    shop.cancel(cancelled)
    shop.ship(shipped)
    shop.take_back(shipped, ("lamp", 1))
    shop.drain()
    undelivered = shop.place(("phone", 1), member_id=member.pk)
    assert audit().broken == []
    return Orders(confirmed, short, cancelled, shipped, sold, undelivered)


@pytest.fixture
def corrupt(placed: Orders) -> Iterator[Callable[[str, str], None]]:
    """Run a statement that nobody should; its database is as it was afterwards."""
    before = []

    def run(alias: str, sql: str) -> None:
        before.append(Backup(alias))
        with connections[alias].cursor() as cursor:
            cursor.execute(sql, {name: str(order.pk) for name, order in placed._asdict().items()})
            assert cursor.rowcount > 0

    yield run
    before[0].restore()


@pytest.mark.parametrize("what", CORRUPTIONS)
def test_the_audit_names_what_is_broken_when(what: str, corrupt: Callable[[str, str], None]) -> None:
    alias, sql, broken = CORRUPTIONS[what]
    corrupt(alias, sql)
    assert set(audit().broken) == broken


def test_there_is_something_that_breaks_each_invariant() -> None:
    assert {invariant.name for invariant in INVARIANTS} == set().union(*(names for _, _, names in CORRUPTIONS.values()))
