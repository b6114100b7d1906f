"""What an operator sees of events, subscriptions, cursors and fences, and does to them."""

from collections.abc import Callable

import pytest
from django.contrib.admin.models import LogEntry
from django.db import connections, transaction

from orders.events import OrderCreated
from orders.models import Cursor, Fence, OutboxEvent, Subscription
from shop.console.roles import roles
from shop.messaging.producer import progress
from shop.messaging.producer.fence import fence
from shop.messaging.producer.progress import lags
from shop.messaging.producer.queue_position import place_in_queue
from tests.contexts.admin.conftest import Browser
from tests.harness import Shop


def test_a_stopped_lane_says_why_and_is_resumed(shop: Shop, boss: Browser) -> None:
    shop.sell("phone", stock=1)
    shop.drain()
    cursor = Cursor.objects.filter(source="catalogue").order_by("-position")[0]
    Cursor.objects.filter(pk=cursor.pk).update(stopped="10 poisonous events in a row", poisonous=10)
    assert "10 poisonous events in a row" in boss.listed("orders_cursor").content.decode()
    running = Cursor.objects.exclude(pk=cursor.pk)[0]
    said = boss.select("orders_cursor", "resume", cursor.pk, running.pk).content.decode()
    assert "1 lane resumed" in said
    cursor.refresh_from_db()
    assert (cursor.stopped, cursor.poisonous) == ("", 0)
    assert "It was not stopped." in boss.select("orders_cursor", "resume", cursor.pk).content.decode()


def test_a_subscription_counts_what_its_consumer_wants_and_has_not_acknowledged(
    shop: Shop, boss: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.sell("phone", stock=5)
    shop.drain()
    shop.place(("phone", 1))
    shop.drain()
    order = shop.place(("phone", 1))
    shop.cancel(order)
    lane = OutboxEvent.objects.filter(key=str(order.pk))[0].lane

    def lag(consumer: str) -> progress.Lag:
        rows = boss.listed("orders_subscription").context["cl"].result_list
        return next(row.lag for row in rows if (row.consumer, row.lane) == (consumer, lane))

    newest = OutboxEvent.objects.filter(lane=lane)[0]
    assert lag("inventory")[:2] == (newest.position, 2)
    assert lag("inventory").oldest == OutboxEvent.objects.filter(key=str(order.pk)).order_by("position")[0].recorded_at
    with monkeypatch.context() as patched:
        patched.setattr(progress, "LAG_CAP", 1)
        assert lag("inventory").more
    shop.drain()
    assert lag("inventory")[1:] == (0, None, False)


def test_a_subscription_of_a_consumer_that_is_no_more_is_marked(shop: Shop, boss: Browser) -> None:
    Subscription.objects.create(consumer="gone", lane=0)
    assert "no consumer of this name" in boss.listed("orders_subscription").content.decode()


def test_a_stopped_subscription_says_why_and_is_resumed_on_its_page(shop: Shop, boss: Browser) -> None:
    shop.sell("phone", stock=5)
    shop.drain()
    shop.place(("phone", 1))
    shop.drain()
    stopped = Subscription.objects.filter(consumer="inventory").order_by("-acknowledged")[0]
    Subscription.objects.filter(pk=stopped.pk).update(stopped="The consumer <refuses>", tries=3)
    assert "The consumer &lt;refuses&gt;" in boss.listed("orders_subscription").content.decode()
    shown = boss.opened("orders_subscription", stopped.pk).content.decode()
    assert "The consumer &lt;refuses&gt;" in shown
    assert str(stopped.furthest) in shown
    boss.press("orders_subscription", "resume_lane", stopped.pk)
    assert boss.messages() == ["1 lane resumed; each continues with its next batch."]
    resumed = Subscription.objects.get(pk=stopped.pk)
    assert (resumed.stopped, resumed.tries) == ("", 0)
    logged = LogEntry.objects.get()
    assert (logged.object_id, logged.change_message) == (
        str(stopped.pk),
        "Resumed; it had stopped: The consumer <refuses>",
    )
    boss.press("orders_subscription", "resume_lane", stopped.pk)
    assert boss.messages() == ["It was not stopped."]
    assert boss.select("orders_subscription", "resume", stopped.pk).content.decode().count("It was not stopped.")


def test_operations_may_resume_subscriptions_and_who_only_views_may_not(
    shop: Shop, staff: Callable[..., Browser]
) -> None:
    row = Subscription.objects.create(consumer="inventory", lane=9, stopped="why")
    granted = [name.partition(".")[2] for name in roles()["operations"]]
    assert {"change_subscription", "view_fence"} <= set(granted)
    viewer = staff("view_subscription")
    assert viewer.opened("orders_subscription", row.pk).status_code == 200
    assert viewer.client.get(viewer.url("orders_subscription", "resume_lane", row.pk)).status_code == 403
    viewer.select("orders_subscription", "resume", row.pk)
    assert Subscription.objects.get(pk=row.pk).stopped == "why"


def test_each_generation_of_a_consumer_has_its_own_lag_and_an_event_one_badge_for_each_consumer(
    shop: Shop, boss: Browser
) -> None:
    shop.sell("phone", stock=5)
    shop.drain()
    order = shop.place(("phone", 1))
    shop.drain()
    lane = OutboxEvent.objects.filter(key=str(order.pk))[0].lane
    Subscription.objects.create(consumer="readmodel", generation=2, lane=lane)
    rows = boss.listed("orders_subscription").context["cl"].result_list
    behind = {row.generation: row.lag.events for row in rows if (row.consumer, row.lane) == ("readmodel", lane)}
    assert behind == {1: 0, 2: 2}
    assert "readmodel, generation 2, lane" in boss.listed("orders_subscription").content.decode()
    event = OutboxEvent.objects.filter(key=str(order.pk))[0]
    shown = boss.opened("orders_outboxevent", event.pk).content.decode()
    assert "waiting" not in shown


def test_a_place_in_the_queue_is_counted_while_a_second_generation_runs(shop: Shop) -> None:
    for lane in range(4):
        Subscription.objects.create(consumer="inventory", generation=2, lane=lane)
    place = place_in_queue("orders", "nobody", consumer="inventory", opens=OrderCreated, answers=[])
    assert place.position == 0


def test_a_lag_looks_at_no_partition_but_those_that_may_hold_something(shop: Shop) -> None:
    shop.sell("phone", stock=5)
    shop.drain()
    for _ in range(20):
        shop.place(("phone", 1))
    shop.drain()
    with transaction.atomic(using="orders"), connections["orders"].cursor() as cursor:
        lags("orders")
        cursor.execute(
            "SELECT DISTINCT c.relname FROM pg_locks JOIN pg_class c ON c.oid = relation "
            r"WHERE pid = pg_backend_pid() AND c.relkind = 'r' AND c.relname LIKE 'orders\_outboxevent\_p%'"
        )
        assert len(cursor.fetchall()) <= 2


def test_a_cursor_shows_whom_it_follows_and_what_it_wants_since_when(shop: Shop, boss: Browser) -> None:
    shop.sell("phone", stock=5)
    shop.drain()
    cursor = Cursor.objects.filter(source="catalogue").order_by("-position")[0]
    assert f"{str(cursor.outbox)[:8]}, {cursor.epoch}" in boss.listed("orders_cursor").content.decode()
    shown = boss.opened("orders_cursor", cursor.pk).content.decode()
    assert str(cursor.outbox) in shown
    assert all(name in shown for name in cursor.types)
    assert "Wanted after" in shown


def test_a_cursor_of_a_named_reaction_is_resumed_and_no_other(shop: Shop, boss: Browser) -> None:
    rows = [
        Cursor.objects.create(consumer=consumer, generation=generation, source="catalogue", lane=9, stopped="bad")
        for consumer, generation in (("orders", 1), ("orders", 2), ("orders.prices", 1))
    ]
    boss.press("orders_cursor", "resume_lane", rows[2].pk)
    assert [Cursor.objects.get(pk=row.pk).stopped for row in rows] == ["bad", "bad", ""]
    boss.select("orders_cursor", "resume", rows[1].pk)
    assert [Cursor.objects.get(pk=row.pk).stopped for row in rows] == ["bad", "", ""]


def test_fences_are_listed_with_their_reason(shop: Shop, boss: Browser) -> None:
    first = fence("orders", reason="restored on Tuesday")
    shown = boss.listed("orders_fence").content.decode()
    assert "restored on Tuesday" in shown
    assert str(first) in boss.opened("orders_fence", Fence.objects.latest("first").pk).content.decode()
