"""What an operator sees of dead letters and their retries, and does to them."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.utils import timezone

from celery_app import schedule
from inventory.models import DeadLetter, LetterRetry
from orders.models import Order
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
