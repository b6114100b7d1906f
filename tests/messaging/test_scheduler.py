"""Celery beat, as it is started by hand."""

from pathlib import Path

from celery import current_app

from shop.messaging.contexts import publishers
from shop.messaging.scheduler import Scheduler


def test_beat_starts_where_nobody_has_made_a_folder_for_its_schedule(tmp_path: Path) -> None:
    scheduler = Scheduler(app=current_app, schedule_filename=str(tmp_path / "instance" / "beat-schedule"))
    try:
        assert "scan-outbox-orders" in scheduler.schedule
    finally:
        scheduler.close()


def test_everything_is_due_when_beat_starts_however_lately_it_ran(tmp_path: Path) -> None:
    """Partitions may have run short while it was away, and its file does not say for how long."""
    file = str(tmp_path / "beat-schedule")
    for _ in range(2):  # the second time with what the first left in the file
        scheduler = Scheduler(app=current_app, schedule_filename=file)
        try:
            entries = {
                name: entry for name, entry in scheduler.schedule.items() if name.startswith("create-partitions")
            }
            assert len(entries) == len(publishers())
            assert all(entry.is_due().is_due for entry in entries.values())
            assert all(entry.schedule.run_every.total_seconds() == 60 for entry in entries.values())
            for name, entry in entries.items():
                scheduler.schedule[name] = entry.next()
            scheduler.sync()
        finally:
            scheduler.close()
