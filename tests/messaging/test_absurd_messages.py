"""A message that no relay of ours sends is refused as a whole: nothing is parked, no lane stops, no row changes."""

from typing import Any
from uuid import uuid4

import msgspec
import pytest

from inventory.models import Subscription
from readmodel.models import Cursor
from shop.messaging.producer.fence import present
from tests.harness import Shop
from tests.messaging.probe import NAME, SOURCE, Probe, in_lane

A, B = in_lane(0, 2)


def state(shop: Shop) -> list[Any]:
    """What a message could spoil."""
    return [
        list(Cursor.objects.order_by("pk").values()),
        list(Subscription.objects.order_by("pk").values()),
        list(shop.letters(NAME)),
    ]


BATCHES: list[dict[str, Any]] = [
    {"lane": -1},
    {"lane": 10**9},
    {"lane": "0"},
    {"lane": True},
    {"through": 0, "after": 10},
    {"through": -5, "after": -10},
    {"through": 2**63},
    {"through": 10**40},
    {"after": "0"},
    {"lanes": 10**10},
    {"lanes": "4"},
    {"lanes": -4},
    {"lanes": 0},
    {"lane": 3, "lanes": 2},
    {"epoch": "1"},
    {"epoch": -1},
    {"epoch": 2**63},
    {"outbox": "nobody's"},
    {"generation": -1},
    {"generation": "1"},
    {"generation": 2**40},
    {"time": "yesterday"},
    {"time": "2026-01-01T00:00:00"},
    {"time": 5},
    {"id": "none"},
    {"fences": [1]},
    {"fences": "all"},
    {"types": None},
    {"events": None},
    {"events": [{}]},
    {"events": ["text"]},
    {"events": [{"id": "5", "type": "inventory.stock-changed"}]},
    {"source": None},
]


@pytest.mark.parametrize("field", BATCHES, ids=str)
def test_an_absurd_batch_changes_nothing(probe: Probe, shop: Shop, field: dict[str, Any]) -> None:
    probe.publish(A)
    probe.drain()
    probe.publish(B)
    batch = probe.batch()
    before = state(shop)
    batch.kwargs.update({"id": str(uuid4()), **field})
    with pytest.raises(msgspec.ValidationError):
        batch.deliver()
    assert state(shop) == before
    assert probe.noted() == [1]


ANSWERS: list[dict[str, Any]] = [
    {"cursor": "12"},
    {"cursor": None},
    {"cursor": -1},
    {"cursor": 10**40},
    {"lane": "0"},
    {"lane": -1},
    {"lane": 10**9},
    {"batch": "none"},
    {"generation": -1},
    {"generation": 2**40},
    {"outbox": 5},
    {"refused": 5},
    {"gone": "no"},
]


@pytest.mark.parametrize("field", ANSWERS, ids=str)
def test_an_absurd_answer_changes_nothing(probe: Probe, shop: Shop, field: dict[str, Any]) -> None:
    probe.publish(A)
    probe.batch().deliver()
    answer = probe.acknowledgement()
    before = state(shop)
    answer.kwargs.update(field)
    with pytest.raises(msgspec.ValidationError):
        answer.deliver()
    assert state(shop) == before


def test_a_missing_cursor_of_one_lane_is_made_again(probe: Probe) -> None:
    probe.publish(A)
    probe.drain()
    Cursor.objects.filter(source=SOURCE, lane=0).delete()
    probe.publish(B)
    probe.drain()
    assert probe.noted() == [1, 1, 2]
    assert present(SOURCE).lanes == Cursor.objects.filter(source=SOURCE).count()
