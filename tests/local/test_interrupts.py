import signal

import pytest

from shop.local.stack.interrupts import SIGNALS, Interrupts


@pytest.fixture
def interrupts():
    before = [signal.getsignal(number) for number in SIGNALS]
    yield Interrupts()
    for number, handler in zip(SIGNALS, before, strict=True):
        signal.signal(number, handler)


@pytest.mark.parametrize("number", SIGNALS)
def test_the_first_signal_interrupts_and_a_second_does_not_disturb_the_ending(interrupts, number):
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(number)
    assert not interrupts.hurry
    signal.raise_signal(number)
    assert interrupts.asked
    assert interrupts.hurry == (number != signal.SIGHUP)  # a terminal that closes may say so twice


def test_a_signal_waits_until_what_was_started_is_noted(interrupts):
    noted = []

    def start():
        with interrupts.held():
            signal.raise_signal(signal.SIGTERM)
            noted.append("started")

    with pytest.raises(KeyboardInterrupt):
        start()
    assert noted == ["started"]


def test_once_ending_has_begun_nothing_interrupts_it(interrupts):
    interrupts.hold()
    signal.raise_signal(signal.SIGINT)
    assert interrupts.hurry
