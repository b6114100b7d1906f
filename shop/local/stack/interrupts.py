"""Ctrl-C, SIGTERM and a closed terminal as one thing, which never comes between starting something and noting it."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupts:
    """Raise KeyboardInterrupt at the first signal, or after the block of ``held``; ignore later ones."""

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
        """Hold for good: the process is ending anyway."""
        self._held += 1

    def _receive(self, number: int, frame: FrameType | None) -> None:
        first, self.asked = not self.asked, True
        if first and not self._held:
            raise KeyboardInterrupt
