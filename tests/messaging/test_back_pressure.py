"""What nobody takes does not pile up: on the broker itself."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from celery import current_app
from django.conf import settings
from django.utils import timezone

from inventory.models import Subscription
from shop.local.servers import lifecycle
from shop.messaging import broker, consumers
from shop.messaging.producer.relay import relay
from shop.messaging.scheduler import WAITING, Scheduler
from tests.harness import Deliveries
from tests.messaging.probe import CONSUMER, NAME, SOURCE, Probe, in_lane

QUEUES = ("members.relay", NAME, "orders")


def waiting(queue: str) -> int:
    with current_app.connection_for_write() as connection:
        return int(connection.default_channel.queue_declare(queue, passive=True).message_count)


def empty(queue: str) -> None:
    with current_app.connection_for_write() as connection:
        connection.default_channel.queue_purge(queue)


def fill(queue: str, count: int = broker.QUEUE_LIMIT) -> None:
    for _ in range(count):
        broker.send(broker.SCAN, queue, context="members")


@pytest.fixture(autouse=True)
def _emptied() -> Iterator[None]:
    for queue in QUEUES:
        empty(queue)
    yield
    for queue in QUEUES:
        empty(queue)


@pytest.fixture
def probe(transactional_databases: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Probe]:
    """The probe, but on the real broker."""
    monkeypatch.setitem(consumers._consumers, (NAME, SOURCE), CONSUMER)
    probe = Probe(Deliveries())
    yield probe
    probe.execute("DROP TABLE probe_note")


def test_a_queue_is_backed_up_at_its_limit() -> None:
    fill("members.relay", broker.QUEUE_LIMIT - 1)
    assert not broker.is_backed_up("members.relay")
    fill("members.relay", 1)
    assert broker.is_backed_up("members.relay")
    empty("members.relay")
    assert not broker.is_backed_up("members.relay")


def test_a_queue_that_does_not_exist_is_not_backed_up() -> None:
    assert not broker.is_backed_up("never.used")


@pytest.mark.skipif(
    not lifecycle.needed_by([], settings.BROKER_URL, settings.INSTANCE), reason="the broker is not ours to stop"
)
def test_a_broker_that_went_away_since_it_was_last_asked_backs_nothing_up() -> None:
    assert not broker.is_backed_up("orders")  # the pool has a connection now
    lifecycle.stop(settings.INSTANCE, ["valkey"])
    try:
        assert not broker.is_backed_up("orders")
    finally:
        lifecycle.ensure_running(settings.INSTANCE, ["valkey"])


def test_a_broker_that_was_wiped_takes_what_is_sent_from_then_on() -> None:
    fill("members.relay", 1)
    with current_app.connection_for_write() as connection:
        client = getattr(connection.default_channel, "client", None)
        if client is None:
            pytest.skip("RabbitMQ is not wiped under its clients")
        client.flushdb()
    fill("members.relay", 2)
    assert waiting("members.relay") == 2


def test_resends_are_held_back_while_their_queue_is_backed_up(probe: Probe, settings: Any) -> None:
    def due() -> None:
        Subscription.objects.update(due_at=timezone.now() - timedelta(seconds=1))

    probe.publish(*in_lane(0, 1))
    relay(SOURCE)
    sent = waiting(NAME)
    assert sent == 4, "a batch for each lane"
    fill(NAME)
    for _ in range(3):
        due()
        relay(SOURCE)
    assert waiting(NAME) == sent + broker.QUEUE_LIMIT
    held = Subscription.objects.get(consumer=NAME, lane=0)
    assert held.tries == 1
    assert timezone.now() < held.due_at <= timezone.now() + settings.RELAY_RESEND_AFTER
    empty(NAME)
    due()
    relay(SOURCE)
    assert waiting(NAME) == 4


def test_however_long_nobody_is_there_the_queue_stays_short(probe: Probe) -> None:
    probe.publish(*in_lane(0, 50), *in_lane(1, 50))
    for _ in range(30):
        Subscription.objects.update(due_at=timezone.now() - timedelta(seconds=1))
        relay(SOURCE)
    assert waiting(NAME) < broker.QUEUE_LIMIT + 4


def test_beat_leaves_an_entry_out_while_its_queue_is_full(tmp_path: Path) -> None:
    scheduler = Scheduler(app=current_app, schedule_filename=str(tmp_path / "schedule"), lazy=True)
    scheduler.setup_schedule()
    try:
        entry = scheduler.schedule["scan-outbox-members"]
        limit = broker.busy("members.relay") + WAITING
        assert limit == 3 * settings.OUTBOX_LANES + WAITING, "orders consume it twice, and the read model once"
        for _ in range(limit + 5):
            scheduler.apply_async(entry, advance=False)
        assert waiting("members.relay") == limit
        empty("members.relay")
        scheduler.apply_async(entry, advance=False)
        assert waiting("members.relay") == 1
    finally:
        scheduler.close()


def test_while_beat_holds_one_entry_back_others_go_on(tmp_path: Path) -> None:
    fill("members.relay")
    scheduler = Scheduler(app=current_app, schedule_filename=str(tmp_path / "schedule"), lazy=True)
    scheduler.setup_schedule()
    try:
        scheduler.apply_async(scheduler.schedule["expire-open-orders"], advance=False)
        assert waiting("orders") == 1
    finally:
        scheduler.close()
