"""What an operator sees of the messaging, and does to it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.db import connections, transaction
from django.utils import timezone

from celery_app import schedule
from inventory.models import DeadLetter, LetterRetry
from orders.events import OrderCreated
from orders.models import Cursor, Fence, Order, OutboxEvent, Subscription
from shop.console.roles import roles
from shop.messaging.producer import progress
from shop.messaging.producer.fence import fence
from shop.messaging.producer.progress import lags
from shop.messaging.producer.queue_position import place_in_queue
from tests.contexts.admin.conftest import Browser
from tests.harness import Shop


@contextmanager
def poisonous(monkeypatch: pytest.MonkeyPatch, sku: str = "phone") -> Iterator[None]:
    """The inventory cannot digest orders of this SKU."""
    from inventory.services import StockRoom

    reserve = StockRoom.reserve

    def refuse(self: Any, *, lines: Any, **rest: Any) -> None:
        lines = list(lines)
        if lines[0][0] == sku:
            raise ZeroDivisionError("<it> hurts")
        reserve(self, lines=lines, **rest)

    with monkeypatch.context() as patched:
        patched.setattr(StockRoom, "reserve", refuse)
        yield


@pytest.fixture
def letters(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> list[Order]:
    """Two orders whose events are dead letters at the inventory: created, and cancelled behind the first one's."""
    shop.sell("phone", stock=5)
    shop.drain()
    with poisonous(monkeypatch):
        orders = [shop.place(("phone", 1)), shop.place(("phone", 2))]
        shop.drain()
        shop.cancel(orders[0])
        shop.drain()
    assert DeadLetter.objects.count() == 3
    return orders


def keys(orders: list[Order]) -> list[int]:
    return list(DeadLetter.objects.filter(key__in=[str(order.pk) for order in orders]).values_list("pk", flat=True))


def test_a_dead_letter_shows_its_error_traceback_and_event(letters: list[Order], boss: Browser) -> None:
    letter = DeadLetter.objects.filter(key=str(letters[1].pk)).get()
    page = boss.opened("inventory_deadletter", letter.pk).content.decode()
    assert "ZeroDivisionError(&#x27;&lt;it&gt; hurts&#x27;)" in page
    assert "Traceback (most recent call last)" in page
    assert "&quot;type&quot;: &quot;orders.order-created&quot;" in page
    assert boss.url("orders_outboxevent", "change", letter.position) in page


def test_a_retry_is_done_by_a_worker_and_applies_a_keys_letters_in_order(
    shop: Shop, letters: list[Order], boss: Browser
) -> None:
    second = DeadLetter.objects.filter(key=str(letters[0].pk)).order_by("-position")[0]
    said = boss.select("inventory_deadletter", "retry", second.pk).content.decode()
    assert f"A worker will retry key {letters[0].pk} of orders." in said
    assert len(keys(letters)) == 3, "nothing is applied in the web process"
    assert shop.movements("phone") == [("received", 5)]
    shop.drain()
    assert shop.movements("phone") == [("received", 5), ("reserved", 1), ("released", 1)]
    assert keys(letters) == keys([letters[1]])


def test_a_retry_is_shown_pending_then_what_came_of_it(
    shop: Shop, letters: list[Order], boss: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = DeadLetter.objects.filter(key=str(letters[0].pk)).order_by("position")[0]
    answer = boss.press("inventory_deadletter", "retry_key", first.pk)
    assert answer.headers["HX-Redirect"] == boss.url("inventory_deadletter")
    assert "pending" in boss.listed("inventory_deadletter").content.decode()
    assert "Waits for a worker." in boss.opened("inventory_deadletter", first.pk).content.decode()
    with poisonous(monkeypatch):
        shop.drain()
    assert len(keys(letters)) == 3
    for page in (boss.opened("inventory_deadletter", first.pk), boss.listed("inventory_letterretry")):
        shown = page.content.decode()
        assert f"0 letters applied, 2 left. #{first.position}: ZeroDivisionError" in shown
        assert "boss" in shown
    assert "pending" not in boss.listed("inventory_deadletter").content.decode()


def test_a_retry_that_killed_its_worker_is_shown_as_never_finished(
    shop: Shop, letters: list[Order], boss: Browser
) -> None:
    first = DeadLetter.objects.filter(key=str(letters[0].pk)).order_by("position")[0]
    boss.press("inventory_deadletter", "retry_key", first.pk)
    LetterRetry.objects.update(began_at=timezone.now() - timedelta(minutes=5), position=first.position)
    shop.drain()
    shown = boss.opened("inventory_deadletter", first.pk).content.decode()
    assert "begun, not finished" in shown
    assert f"with #{first.position}: a worker is at it, or was killed by it. It is not repeated." in shown
    assert len(keys(letters)) == 3


def test_retry_of_many_letters_goes_key_by_key(shop: Shop, letters: list[Order], boss: Browser) -> None:
    said = boss.select("inventory_deadletter", "retry", *keys(letters)).content.decode()
    assert said.count("A worker will retry key") == 2
    shop.drain()
    assert not DeadLetter.objects.exists()
    assert shop.order(letters[1]).status == "confirmed"


def test_letters_of_a_kind_are_retried_as_one_group(shop: Shop, letters: list[Order], boss: Browser) -> None:
    waiting = DeadLetter.objects.filter(key=str(letters[0].pk)).order_by("-position")[0]
    said = boss.select("inventory_deadletter", "retry_groups", waiting.pk).content.decode()
    assert "A worker will retry 2 keys of orders" in said
    assert LetterRetry.objects.get().keys == [str(order.pk) for order in letters]
    shop.drain()
    assert not DeadLetter.objects.exists()


def test_a_retry_is_kept_while_the_broker_is_away(shop: Shop, letters: list[Order], boss: Browser) -> None:
    shop.deliveries.away = True
    boss.press("inventory_deadletter", "retry_key", keys([letters[1]])[0])
    (said,) = boss.messages()
    assert said.endswith("is noted, but the broker is away: a worker takes it up once the broker is back.")
    shop.deliveries.away = False
    entry = schedule()["retry-letters-inventory"]
    shop.deliveries.send(entry["task"], entry["options"]["queue"], **entry["kwargs"])
    shop.drain()
    shop.time_out()
    shop.drain()
    assert shop.order(letters[1]).status == "confirmed"


def test_every_act_of_an_operator_is_recorded(shop: Shop, letters: list[Order], boss: Browser) -> None:
    first, other = keys([letters[0]])[0], keys([letters[1]])[0]
    boss.press("inventory_deadletter", "retry_key", first)
    boss.press("inventory_deadletter", "discard_letter", other)
    logged = LogEntry.objects.order_by("action_time").values_list("user__username", "object_id", "change_message")
    assert list(logged) == [
        ("boss", str(first), f"Asked for a retry of key {letters[0].pk} of orders."),
        ("boss", str(other), "Discarded."),
    ]
    assert LetterRetry.objects.get().requested_by == "boss"
    assert DeadLetter.objects.get(pk=other).discarded_by == "boss"


def test_letters_are_discarded_once_that_is_confirmed(shop: Shop, letters: list[Order], boss: Browser) -> None:
    chosen = keys([letters[0]])
    asked = boss.select("inventory_deadletter", "discard", *chosen).content.decode()
    assert "This cannot be undone." in asked
    assert not DeadLetter.objects.exclude(discarded_at=None).exists()
    said = boss.select("inventory_deadletter", "discard", *chosen, confirmed="yes").content.decode()
    assert "2 of 2 letters discarded." in said
    listed = [row.pk for row in boss.listed("inventory_deadletter").context["cl"].result_list]
    assert listed == keys([letters[1]])
    discarded = boss.listed("inventory_deadletter", "?state=discarded").context["cl"].result_list
    assert [row.pk for row in discarded] == chosen


def test_one_letter_is_discarded_on_its_page(shop: Shop, letters: list[Order], boss: Browser) -> None:
    (pk,) = keys([letters[1]])
    boss.press("inventory_deadletter", "discard_letter", pk)
    assert boss.messages() == ["1 letter discarded."]
    boss.press("inventory_deadletter", "discard_letter", pk)
    assert boss.messages() == ["It was not open any more."]


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
    row = Subscription.objects.create(consumer="inventory", lane=0, stopped="why")
    granted = [name.partition(".")[2] for name in roles()["operations"]]
    assert {"change_subscription", "view_fence"} <= set(granted)
    viewer = staff("view_subscription")
    assert viewer.opened("orders_subscription", row.pk).status_code == 200
    assert viewer.client.get(viewer.url("orders_subscription", "resume_lane", row.pk)).status_code == 403
    viewer.select("orders_subscription", "resume", row.pk)
    assert Subscription.objects.get().stopped == "why"


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
        Cursor.objects.create(consumer=consumer, generation=generation, source="catalogue", lane=0, stopped="bad")
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
