"""Queries of the read model, for its views."""

from datetime import datetime

from django.db.models import QuerySet

from readmodel.models import OrderView
from shop.messaging.consumer import freshness


def orders(*, member_id: int | None) -> "QuerySet[OrderView]":
    """Select the orders of one member, or of everyone."""
    everyone = OrderView.objects.all()
    return everyone if member_id is None else everyone.filter(member_id=member_id)


def fresh_at() -> datetime | None:
    """As of when the lists are complete, but for what is parked; ``None`` while a lane was never read."""
    return freshness.fresh_at("readmodel")
