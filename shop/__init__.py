"""An event-driven shop: contexts with a database each, joined by an outbox and Celery."""

from celery_app import app as celery

__all__ = ["celery"]
