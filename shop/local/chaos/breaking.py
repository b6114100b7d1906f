"""Faults by plan, while something else goes on."""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from threading import Event, Thread

from shop.local.chaos.faults import Faults
from shop.local.chaos.plan import Fault, Kind


class Chaos:
    """Causes faults on a thread, one after the other, once it is told to ``begin``.

    :param say: is given a line for each, with the seconds since the beginning.
    """

    def __init__(self, instance: str, faults: Sequence[Fault], *, say: Callable[[str], None]) -> None:
        self.caused: Counter[Kind] = Counter()
        self.failures: list[Exception] = []
        self._plan = faults
        self._say = say
        self._over = Event()
        self._began = 0.0
        self._faults = Faults(instance, say=self._tell, over=self._over)
        self._thread = Thread(target=self._follow_the_plan, name="chaos")

    def begin(self) -> None:
        """Start the clock of the plan."""
        self._began = time.monotonic()
        self._thread.start()

    def wait(self) -> None:
        """Wait for the rest of the plan; at once, if it never began."""
        if self._thread.ident is not None:
            self._thread.join()

    def end(self) -> None:
        """Give up the rest of the plan, and mend what is broken just now."""
        self._over.set()
        self.wait()

    def _follow_the_plan(self) -> None:
        try:
            for fault in self._plan:
                if self._over.wait(max(0.0, self._began + fault.second - time.monotonic())):
                    return
                self._faults.cause(fault)
                self.caused[fault.kind] += 1
        except Exception as error:
            if not self._over.is_set():
                self.failures.append(error)

    def _tell(self, line: str) -> None:
        self._say(f"{time.monotonic() - self._began:5.1f} s  {line}")


@contextmanager
def breaking(instance: str, faults: Sequence[Fault], *, say: Callable[[str], None]) -> Iterator[Chaos]:
    """Break the stack of an instance inside the block, from ``begin`` on.

    Leaving the block waits for the rest of the plan; an error in it ends the plan. Either way nothing stays broken.

    :raises ServerError: when something did not come back. It replaces an error of the block, which is its effect.
    """
    chaos = Chaos(instance, faults, say=say)
    try:
        yield chaos
        chaos.wait()
    except Exception as error:
        if chaos.failures:
            raise chaos.failures[0] from error
        raise
    finally:
        chaos.end()
    if chaos.failures:
        raise chaos.failures[0]
