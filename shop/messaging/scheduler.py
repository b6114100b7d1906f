"""Celery beat, but it adds nothing to a queue that nobody empties."""

from datetime import timedelta
from pathlib import Path
from typing import Any

from celery.beat import PersistentScheduler, ScheduleEntry

from shop.messaging import broker


class Scheduler(PersistentScheduler):
    """Leaves an entry out while its queue is backed up; the entry comes again at its next time.

    Otherwise a scan every half second would leave 172,800 messages in the queue of a worker that is
    away for a day, all of them to be taken and thrown away when it is back.
    """

    def setup_schedule(self) -> None:
        """Have the folder of the schedule's file: with servers of one's own, nobody else has made it."""
        file: str = self.schedule_filename  # type: ignore[attr-defined]  # not in the stubs
        Path(file).parent.mkdir(parents=True, exist_ok=True)
        super().setup_schedule()
        for entry in self.schedule.values():  # all are due at the start: beat may have been away for long
            entry.last_run_at = entry.default_now() - timedelta(days=1)

    def apply_async(self, entry: ScheduleEntry, *args: Any, **kwargs: Any) -> Any:
        queue = (entry.options or {}).get("queue")
        if queue is not None and broker.is_backed_up(queue):
            return None
        return super().apply_async(entry, *args, **kwargs)
