"""Celery beat, as it is started by hand."""

from pathlib import Path

from celery import current_app

from shop.messaging.scheduler import Scheduler


def test_beat_starts_where_nobody_has_made_a_folder_for_its_schedule(tmp_path: Path) -> None:
    scheduler = Scheduler(app=current_app, schedule_filename=str(tmp_path / "instance" / "beat-schedule"))
    try:
        assert "scan-outbox-orders" in scheduler.schedule
    finally:
        scheduler.close()
