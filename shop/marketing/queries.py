"""Queries of marketing, for its views and pages."""

from datetime import datetime
from uuid import UUID

from django.db.models import Q, QuerySet
from django.db.models.functions import Now

from shop.errors import NotFound
from shop.marketing import policies
from shop.marketing.models import Campaign, ProductCopy

STAGES: dict[str, Q] = {
    policies.SCHEDULED: Q(state=policies.SCHEDULED, starts_at__gt=Now()),
    policies.RUNNING: Q(state=policies.SCHEDULED, starts_at__lte=Now(), ends_at__gt=Now()),
    policies.SUSPENDED: Q(state=policies.SUSPENDED, ends_at__gt=Now()),
    policies.ENDED: Q(state=policies.ENDED) | Q(ends_at__lte=Now()),
}
"""Of each stage, the campaigns that are in it by the database's clock, as :func:`policies.stage` has it."""


def campaigns() -> "QuerySet[Campaign]":
    """Select every campaign."""
    everything: QuerySet[Campaign] = Campaign.objects.all()
    return everything


def campaign(campaign_id: UUID) -> Campaign:
    """Load one campaign. :raises NotFound:"""
    campaign = campaigns().filter(pk=campaign_id).first()
    if campaign is None:
        raise NotFound(f"There is no campaign {campaign_id}.")
    return campaign


def calendar(*, at: datetime, most: int) -> list[Campaign]:
    """Select what runs, is suspended or comes next, the first to start first."""
    upcoming = campaigns().filter(ends_at__gt=at).exclude(state=policies.ENDED)
    return list(upcoming.order_by("starts_at", "pk")[:most])


def names_of(skus: set[str]) -> dict[str, str]:
    """Return the names of these products, by SKU; those that marketing has not heard of are left out."""
    return dict(ProductCopy.objects.filter(pk__in=skus).values_list("sku", "name"))
