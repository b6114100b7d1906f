"""Ctrl-C, SIGTERM and a closed terminal as one thing, which never comes between starting something and noting it."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupts:
    """The first signal raises KeyboardInterrupt, or waits while ``held``; all others are only noted."""

    def __init__(self) -> None:
        self.asked = False
        self._held = 0
        for number in SIGNALS:
            signal.signal(number, self._receive)

    @contextmanager
    def held(self) -> Iterator[None]:
        self._held += 1
        try:
            yield
        finally:
            self._held -= 1
        if self.asked and not self._held:
            raise KeyboardInterrupt

    def hold(self) -> None:
        """For good: what is left to do is ending."""
        self._held += 1

    def _receive(self, number: int, frame: FrameType | None) -> None:
        first, self.asked = not self.asked, True
        if first and not self._held:
            raise KeyboardInterrupt
