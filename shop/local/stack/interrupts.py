"""Ctrl-C, SIGTERM and a closed terminal as one thing, which never comes between starting something and noting it.

Whoever ends something looks at ``hurry`` meanwhile.
"""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupts:
    """Raise KeyboardInterrupt at the first signal, or after the block of ``held``.

    A later one, or one after ``hold``, sets ``hurry``: what is being ended is to be killed. A terminal that closes
    does not: it may say so twice.
    """

    def __init__(self) -> None:
        self.asked = False
        self.hurry = False
        self._held = 0
        self._ending = False
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
        self._ending = True

    def _receive(self, number: int, frame: FrameType | None) -> None:
        if (self.asked or self._ending) and number != signal.SIGHUP:
            self.hurry = True
        first, self.asked = not self.asked, True
        if first and not self._held:
            raise KeyboardInterrupt
