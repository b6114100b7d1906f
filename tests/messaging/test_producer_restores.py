"""A producer restored from a backup: what it records anew is applied, and nothing passes for a duplicate."""

import pytest
from django.core.management import call_command
from django.db import connections

from inventory.models import Outbox, Subscription
from shop.messaging.consumer.deadletters import resume
from shop.messaging.producer.fence import present
from tests.backups import Backup
from tests.harness import Shop
from tests.messaging.probe import NAME, SOURCE, Probe, cursor, due_now, in_lane, last_position, subscription

A, B = in_lane(0, 2)


def set_sequence(position: int) -> None:
    with connections[SOURCE].cursor() as sql:
        sql.execute("SELECT setval('inventory_outboxevent_position', %s)", [position])


class Restore:
    """A producer's database as it was at a moment, with its sequence, to be put back."""

    def __init__(self) -> None:
        self.backup = Backup(SOURCE)
        self.last = present(SOURCE).last

    def restore(self, *, elsewhere: bool) -> None:
        """Put it back; ``elsewhere``: on a server of another identity, as after ``pg_basebackup`` or a failover."""
        self.backup.restore()
        set_sequence(self.last)
        if elsewhere:
            Outbox.objects.update(server="another")


@pytest.mark.parametrize("elsewhere", [True, False], ids=["seen by itself", "fenced by hand"])
def test_what_a_restored_producer_records_anew_is_applied(probe: Probe, elsewhere: bool) -> None:
    probe.publish(A)
    probe.drain()
    backup = Restore()
    probe.publish(A, B, A)
    probe.drain()
    assert probe.noted() == [1, 2, 3, 4]
    backup.restore(elsewhere=elsewhere)
    if not elsewhere:
        call_command("fence", SOURCE, verbosity=0)
    probe.publish(B, A)
    probe.drain()
    assert probe.noted() == [1, 2, 3, 4, 5, 6]
    assert cursor().epoch == Outbox.objects.get().epoch == cursor().position - 1
    assert subscription().stopped == cursor().stopped == ""


def test_a_batch_in_flight_during_the_restore_is_forgotten_and_its_answer_ignored(probe: Probe) -> None:
    probe.publish(A)
    probe.drain()
    probe.publish(A)
    batch = probe.batch()
    backup = Restore()
    batch.deliver()
    answer = probe.acknowledgement()
    backup.restore(elsewhere=True)
    answer.deliver()
    assert subscription().acknowledged < batch.kwargs["through"]
    probe.publish(A)
    probe.drain()
    assert probe.noted() == [1, 2, 3]


def test_a_restored_context_that_consumes_and_publishes_loses_no_order(shop: Shop) -> None:
    """Both halves: the inventory takes again what it forgot, and its answers are taken for new."""
    member = shop.member().pk
    shop.sell("phone", stock=100)
    shop.drain()
    backup = Restore()
    orders = [shop.place(("phone", 1), member_id=member) for _ in range(20)]
    shop.drain()
    assert shop.stock("phone") == (80, 20)
    backup.restore(elsewhere=True)
    assert shop.stock("phone") == (100, 0)
    more = [shop.place(("phone", 1), member_id=member) for _ in range(20)]
    shop.drain()
    shop.time_out()
    shop.drain()
    assert {shop.order(order).status for order in orders + more} == {"confirmed"}
    assert shop.stock("phone") == (60, 40)


# Restores that nobody can see from inside


def test_a_cursor_beyond_what_was_sent_stops_the_lane_and_says_what_to_do(probe: Probe) -> None:
    probe.publish(A)
    probe.drain()
    backup = Restore()
    probe.publish(A, B)
    probe.drain()
    backup.restore(elsewhere=False)
    due_now()
    probe.drain()
    stopped = Subscription.objects.get(consumer=NAME, lane=0).stopped
    assert f"manage.py fence {SOURCE}" in stopped
    assert str(cursor().position) in stopped
    call_command("fence", SOURCE, verbosity=0)
    probe.publish(A)
    probe.drain()
    assert probe.noted() == [1, 2, 3, 4]


def test_a_new_event_where_another_was_applied_stops_the_lane_instead_of_passing_for_a_duplicate(probe: Probe) -> None:
    probe.publish(A)
    probe.drain()
    backup = Restore()
    probe.publish(A)
    probe.drain()
    seen = cursor().position
    backup.restore(elsewhere=False)
    probe.publish(B)
    assert last_position() == seen
    probe.drain()
    assert f"manage.py fence {SOURCE}" in cursor().stopped
    assert probe.noted() == [1, 2]


def test_a_lane_that_was_stopped_so_goes_on_after_the_fence_and_a_resume(probe: Probe) -> None:
    probe.publish(A)
    probe.drain()
    backup = Restore()
    probe.publish(A)
    probe.drain()
    backup.restore(elsewhere=False)
    probe.publish(B)
    probe.drain()
    call_command("fence", SOURCE, verbosity=0)
    assert resume(NAME, source=SOURCE, lane=0)
    probe.publish(B)
    probe.drain()
    assert probe.noted()[-1] == 4
