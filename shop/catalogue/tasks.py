"""The catalogue's periodic tasks."""

from celery import shared_task
from django.conf import settings

from shop.catalogue.models import IdempotencyKey
from shop.databases import database_time
from shop.idempotency import forget_keys


@shared_task
def forget_idempotency_keys() -> None:
    """Delete Idempotency-Keys that are older than their life."""
    forget_keys(IdempotencyKey, at=database_time("catalogue"), life=settings.IDEMPOTENCY_KEY_LIFE)
