"""Whoever floods the broker with forged messages does not fill the log with them."""

from typing import Any

import pytest

from shop.line_limits import LineLimit
from shop.messaging import signing


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch, settings: Any) -> Clock:
    """Ten lines a minute, of a minute that passes when the test says so, where signatures are required."""
    settings.MESSAGE_KEYS, settings.MESSAGE_SIGNATURES = ["a key of 32 characters, or more: 1234"], "require"
    clock = Clock()
    monkeypatch.setattr(signing, "refusals", LineLimit(lines=10, seconds=60, clock=clock))
    return clock


def forged(count: int, task: str = "orders.tasks.settle_orders", **fields: Any) -> None:
    assert not any(signing.is_trusted(task, {"source": "inventory", **fields}) for _ in range(count))


def left_out(caplog: pytest.LogCaptureFixture) -> list[int]:
    """What each line says, taken out."""
    lines = [record.msg["left_out"] for record in caplog.records if record.msg["event"] == "message refused"]
    caplog.clear()
    return lines


def test_a_flood_of_forged_messages_is_refused_with_ten_lines_a_minute(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    forged(1000)
    assert left_out(caplog) == [0] * 10
    clock.now = 59.9
    forged(1)
    assert left_out(caplog) == []
    clock.now = 60
    forged(20)
    assert left_out(caplog) == [991] + [0] * 9


def test_a_flood_of_one_kind_hides_no_other(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    forged(1000)
    caplog.clear()
    forged(1, task="inventory.tasks.reserve_stock")
    forged(1, signature="1:wrong")
    assert left_out(caplog) == [0, 0]


def test_the_next_line_tells_what_was_left_out_however_late_it_comes(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    forged(15)
    clock.now = 100_000
    forged(2)
    assert left_out(caplog) == [0] * 10 + [5, 0]
