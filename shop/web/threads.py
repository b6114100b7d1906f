"""A bounded pool of threads, and a bounded queue before it: what cannot be answered soon is refused at once."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from shop.web.refusals import Refused

T = TypeVar("T")

RETRY_AFTER = 1  # seconds


class Threads:
    """Runs blocking functions, first come, first served; each thread keeps its database connections."""

    def __init__(self, *, threads: int, queue: int, seconds: float) -> None:
        """Let at most ``queue`` calls wait for one of the ``threads``, none for longer than ``seconds``."""
        self.queue = queue
        self.seconds = seconds
        self.waiting = 0
        self._free = asyncio.Semaphore(threads)
        self._executor = ThreadPoolExecutor(max_workers=threads, thread_name_prefix="web")

    async def run(self, function: Callable[[], T]) -> T:
        """Run ``function`` in a thread. Its thread counts as taken until it ends, whether anybody still waits or not.

        :raises Refused: 503 if too many wait already, or this one waited for too long.
        """
        await self._take()
        future = asyncio.get_running_loop().run_in_executor(self._executor, function)
        future.add_done_callback(lambda _: self._free.release())
        return await asyncio.shield(future)

    async def _take(self) -> None:
        if self.waiting >= self.queue:
            raise self._overloaded()
        self.waiting += 1
        try:
            async with asyncio.timeout(self.seconds):
                await self._free.acquire()
        except TimeoutError:
            raise self._overloaded() from None
        finally:
            self.waiting -= 1

    def _overloaded(self) -> Refused:
        return Refused(503, "The shop is overloaded; try again.", retry_after=RETRY_AFTER)
