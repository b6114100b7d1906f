"""Queries of the read model, for its views."""

from datetime import datetime

from django.db.models import Count, Min, Q, QuerySet

from readmodel.models import Cursor, OrderView


def orders(*, member_id: int | None) -> "QuerySet[OrderView]":
    """Select the orders of one member, or of everyone."""
    everyone = OrderView.objects.all()
    return everyone if member_id is None else everyone.filter(member_id=member_id)


def fresh_at() -> datetime | None:
    """Everything that happened before then is shown, but for what is parked; ``None`` while a lane was never read."""
    known = Cursor.objects.aggregate(oldest=Min("fresh_at"), unread=Count("pk", filter=Q(fresh_at=None)))
    oldest: datetime | None = known["oldest"]
    return None if known["unread"] else oldest
