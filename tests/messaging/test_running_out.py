"""An outbox that runs out of partitions parks nothing, stops nothing, and heals by itself."""

from collections import Counter
from collections.abc import Iterator

import pytest
from django.db import IntegrityError, connections, transaction

from orders.models import Order
from shop.messaging.consumer import receiving
from shop.messaging.consumer.transient import is_transient
from shop.messaging.producer import partitions
from shop.messaging.producer.partitions import PartitionMissing, add_partitions, ensure_partitions
from shop.messaging.sqlstates import lacks_partition
from shop.messaging.tasks import scan_outbox
from tests.contexts.api import client_of
from tests.harness import Shop, in_background
from tests.messaging.test_commit_order import commit
from tests.messaging.test_partitions import ask

FAR = 3_000_000_000  # positions: where there is no partition
SIZE = 40

LABELS = ("orders", "inventory")


@pytest.fixture
def small_partitions(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Outboxes that stand where no partition is, whose partitions hold a few events, and two are kept ahead."""
    monkeypatch.setattr(partitions, "SIZE", SIZE)
    monkeypatch.setattr(partitions, "AHEAD", 2)
    monkeypatch.setattr(partitions, "AHEAD_SECONDS", 0)
    monkeypatch.setattr(receiving, "PAUSE", 0.001)
    monkeypatch.setattr(partitions, "_looked", {})
    before = {label: ask(f"SELECT last_value FROM {label}_outboxevent_position", alias=label)[0][0] for label in LABELS}
    ready = {label: set(partitions_of(label)) for label in LABELS}
    for label in LABELS:
        ask(f"SELECT setval('{label}_outboxevent_position', {FAR})", alias=label)
    yield
    for label in LABELS:
        for name in set(partitions_of(label)) - ready[label]:
            ask(f"DROP TABLE {name}", alias=label)
        ask(f"SELECT setval('{label}_outboxevent_position', {before[label]})", alias=label)


def partitions_of(label: str) -> list[str]:
    inherited = "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = %s::regclass"
    return [name for (name,) in ask(inherited, f"{label}_outboxevent", alias=label)]


def test_an_append_without_a_partition_makes_it_and_asks_to_be_tried_again(small_partitions: None) -> None:
    with pytest.raises(PartitionMissing) as failure:
        commit("phone")
    assert is_transient(failure.value)
    commit("phone")


def test_placing_an_order_tries_again_by_itself(shop: Shop, small_partitions: None) -> None:
    shop.sell("phone")
    shop.scan("catalogue")
    shop.deliveries.run()
    assert shop.place(("phone", 1)).status == "open"


def test_a_violated_check_is_no_missing_partition(shop: Shop) -> None:
    with pytest.raises(IntegrityError) as violation, transaction.atomic(using="inventory"):
        ask("INSERT INTO inventory_stockitem (sku, available, reserved) VALUES ('phone', -1, 0)")
    assert not lacks_partition(violation.value)
    assert not is_transient(violation.value)


def test_a_scan_alone_keeps_partitions_ready(small_partitions: None) -> None:
    """Nobody has to run beat's other entry: what runs the scan looks after them."""
    scan_outbox("inventory")
    commit("phone")


def test_a_process_looks_after_them_once_a_minute(small_partitions: None, monkeypatch: pytest.MonkeyPatch) -> None:
    scan_outbox("inventory")
    there = partitions_of("inventory")
    ask(f"SELECT setval('inventory_outboxevent_position', {FAR + SIZE})")
    scan_outbox("inventory")
    assert partitions_of("inventory") == there
    monkeypatch.setattr(partitions, "LOOK_INTERVAL", 0)
    scan_outbox("inventory")
    assert len(partitions_of("inventory")) == len(there) + 1


def test_a_scan_relays_even_where_partitions_cannot_be_made(
    shop: Shop, small_partitions: None, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(partitions, "LOCK_TIMEOUT", "10ms")
    with transaction.atomic(using="inventory"), connections["inventory"].cursor() as cursor:
        cursor.execute(partitions.ONE_MAKER, ["partitions of inventory_outboxevent"])
        in_background(lambda: scan_outbox("inventory")).result(10)
    assert "could not be made" in caplog.text
    ensure_partitions("inventory")


def test_partitions_can_be_made_from_any_position_on_in_the_caller_s_transaction(small_partitions: None) -> None:
    epoch = (1_800_000_000 << 20) // SIZE * SIZE
    try:
        with transaction.atomic(using="inventory"), connections["inventory"].cursor() as cursor:
            made = add_partitions(cursor, "inventory_outboxevent", epoch + 7, 2)
            cursor.execute("SELECT setval('inventory_outboxevent_position', %s)", [epoch + 7])
        assert made == [f"inventory_outboxevent_p{epoch // SIZE + number}" for number in (0, 1)]
        commit("phone")
        assert ask(f"SELECT position FROM {made[0]}") == [(epoch + 8,)]
        assert len(ensure_partitions("inventory")) == 1
    finally:
        ask(f"SELECT setval('inventory_outboxevent_position', {FAR})")


def test_as_many_are_kept_ahead_as_an_hour_at_the_recent_rate_takes(
    small_partitions: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    ensure_partitions("inventory")
    commit(*["phone"] * SIZE)  # a burst, taken for a minute's
    monkeypatch.setattr(partitions, "AHEAD_SECONDS", 600)
    ensure_partitions("inventory")
    newest = ask("SELECT last_value FROM inventory_outboxevent_position")[0][0] // SIZE
    numbers = {int(name.rpartition("_p")[2]) for name in partitions_of("inventory")}
    assert {number - newest for number in numbers if newest < number < 2 * newest} == set(range(1, 11))
    ask("UPDATE inventory_outboxevent SET recorded_at = recorded_at - interval '1 hour'")
    assert ensure_partitions("inventory") == []


def test_running_out_under_load_parks_nothing_stops_nothing_and_heals(
    shop: Shop, small_partitions: None, settings: object
) -> None:
    settings.RELAY_EVENTS = SIZE  # type: ignore[attr-defined]
    ada = shop.member()
    shop.sell("phone")
    shop.scan("catalogue", "members")
    shop.deliveries.run()
    buyers, each = 6, 40

    def buy() -> Counter[int]:
        client = client_of(ada)
        statuses: Counter[int] = Counter()
        for _ in range(each):
            answer = client.post("/api/orders/", {"lines": [{"sku": "phone", "quantity": 1}]})
            statuses[answer.status_code] += 1
            assert answer.status_code == 202 or answer["Retry-After"]
        return statuses

    running = [in_background(buy) for _ in range(buyers)]
    while not all(future.done() for future in running):
        shop.scan(*LABELS)
        shop.deliveries.run()
    statuses = sum((future.result() for future in running), Counter())
    shop.drain()
    assert set(statuses) <= {202, 503}
    assert statuses[202] > buyers * each / 2
    assert Order.objects.count() == statuses[202]
    assert not Order.objects.filter(status="open").exists()
    assert len(partitions_of("orders")) > 11 + 5, "it ran out, more than once"
    assert not shop.all_letters()
    assert not [cursor for cursor in shop.cursors() if cursor.stopped]
