"""A bound on log lines that somebody else causes."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Lock


@dataclass
class _Window:
    began: float
    lines: int = 0
    left_out: int = 0


@dataclass
class LineLimit:
    """At most so many lines of a kind in a window of time. The rest is counted, and the next line tells the number.

    :param lines: in a window, of each kind.
    :param seconds: that a window lasts, from its first line on.
    """

    lines: int
    seconds: float
    clock: Callable[[], float] = time.monotonic
    _windows: dict[tuple[str, ...], _Window] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    def left_out(self, *kind: str) -> int | None:
        """Return how many lines were left out since the last one; ``None`` if this one is to be left out too.

        A window is kept for each kind, so there may be few kinds: not what a stranger writes.
        """
        now = self.clock()
        with self._lock:
            window = self._windows.setdefault(kind, _Window(now))
            if now - window.began >= self.seconds:
                window.began, window.lines = now, 0
            if window.lines >= self.lines:
                window.left_out += 1
                return None
            window.lines += 1
            left_out, window.left_out = window.left_out, 0
            return left_out
