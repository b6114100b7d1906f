"""The catalogue's periodic tasks."""

from celery import shared_task
from django.conf import settings
from django.utils import timezone

from shop.catalogue.models import IdempotencyKey
from shop.idempotency import forget_keys


@shared_task
def forget_idempotency_keys() -> None:
    """Delete Idempotency-Keys that are older than their life."""
    forget_keys(IdempotencyKey, at=timezone.now(), life=settings.IDEMPOTENCY_KEY_LIFE)
