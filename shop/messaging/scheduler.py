"""Celery beat that adds nothing to a queue whose workers do not keep up."""

import time
from datetime import timedelta
from pathlib import Path
from typing import Any

from celery.beat import PersistentScheduler, ScheduleEntry

from shop.logs import get_logger
from shop.messaging import broker

log = get_logger(__name__)

WAITING = 4  # of beat's own messages in a queue, beside those of consumers: one more scan would find nothing new
QUIET = 60  # seconds between two lines about the same queue


class Scheduler(PersistentScheduler):
    """Leaves an entry out while its queue is full; the entry comes again at its next time.

    Otherwise a scan every half second would leave 172,800 messages in the queue of a worker that is away for a day,
    and batches would wait behind scans where a worker is slow. ``expires`` is no help: the messages stay until a
    worker takes them; and a worker whose clock is ahead of beat's would throw away every one, while all seems well.
    """

    def setup_schedule(self) -> None:
        """Create the folder of the schedule's file, and make every entry due at the start."""
        self._reported: dict[str, float] = {}
        file: str = self.schedule_filename  # type: ignore[attr-defined]  # not in the stubs
        Path(file).parent.mkdir(parents=True, exist_ok=True)
        super().setup_schedule()
        for entry in self.schedule.values():  # all are due at the start: beat may have been away for long
            entry.last_run_at = entry.default_now() - timedelta(days=1)

    def apply_async(self, entry: ScheduleEntry, *args: Any, **kwargs: Any) -> Any:
        queue = (entry.options or {}).get("queue")
        if queue is not None and self._is_full(queue):
            return None
        return super().apply_async(entry, *args, **kwargs)

    def _is_full(self, queue: str) -> bool:
        waiting = broker.waiting_in(queue)
        if waiting < broker.busy(queue) + WAITING:
            return False
        if time.monotonic() - self._reported.get(queue, -QUIET) >= QUIET:
            self._reported[queue] = time.monotonic()
            log.warning("queue full: its workers are away, or do not keep up", queue=queue, waiting=waiting)
        return True
