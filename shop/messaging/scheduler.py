"""Celery beat, but it adds nothing to a queue that nobody empties."""

from datetime import timedelta
from pathlib import Path
from typing import Any

from celery.beat import PersistentScheduler, ScheduleEntry

from shop.logs import get_logger
from shop.messaging import broker

log = get_logger(__name__)


class Scheduler(PersistentScheduler):
    """Leaves an entry out while its queue is backed up; the entry comes again at its next time.

    Otherwise a scan every half second would leave 172,800 messages in the queue of a worker that is away for a day.
    ``expires`` is no help: the messages stay until a worker takes them; and a worker whose clock is ahead of
    beat's would throw away every one, while all seems well.
    """

    def setup_schedule(self) -> None:
        """Have the folder of the schedule's file: with servers of one's own, nobody else has made it."""
        self._backed_up: set[str] = set()
        file: str = self.schedule_filename  # type: ignore[attr-defined]  # not in the stubs
        Path(file).parent.mkdir(parents=True, exist_ok=True)
        super().setup_schedule()
        for entry in self.schedule.values():  # all are due at the start: beat may have been away for long
            entry.last_run_at = entry.default_now() - timedelta(days=1)

    def apply_async(self, entry: ScheduleEntry, *args: Any, **kwargs: Any) -> Any:
        queue = (entry.options or {}).get("queue")
        if queue is not None and self._holds_back(queue):
            return None
        return super().apply_async(entry, *args, **kwargs)

    def _holds_back(self, queue: str) -> bool:
        """Whether the queue is backed up; logged when that changes, not at each entry."""
        backed_up = broker.is_backed_up(queue)
        if backed_up and queue not in self._backed_up:
            log.warning("queue backed up: no worker empties it", queue=queue)
            self._backed_up.add(queue)
        elif not backed_up and queue in self._backed_up:
            log.info("queue is emptied again", queue=queue)
            self._backed_up.remove(queue)
        return backed_up
