"""Commands on campaigns: one business act and one transaction each.

Who locks both locks the product's copy first, then campaigns by their keys.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction

from shop.errors import DomainError, Invalid
from shop.marketing import queries
from shop.marketing.models import Campaign, ProductCopy
from shop.messaging.aggregates import store

WINDOWS = "marketing_campaign_windows"  # the constraint


class UnknownProduct(Invalid):
    """The catalogue has not announced such a product to marketing."""

    code = "unknown_product"


class WindowsOverlap(DomainError):
    """Two campaigns of one product would run at the same time."""

    code = "windows_overlap"


def schedule_campaign(*, sku: str, at: datetime, **details: Any) -> Campaign:
    """Plan a campaign for a product. A start in the past begins it at once.

    :raises UnknownProduct: :raises UnfitCampaign: :raises WindowsOverlap:
    """
    with _kept_apart(sku, details), transaction.atomic(using="marketing"):
        # Locked, so that the product is not delisted between this look and the commit.
        product = ProductCopy.objects.select_for_update().filter(pk=sku).first()
        if product is None:
            raise UnknownProduct(
                f"The catalogue has announced no product {sku!r} to marketing: add it there first, or try again soon.",
                sku=sku,
            )
        campaign = Campaign.schedule(product=product, at=at, **details)
        store(campaign)
    return campaign


def change_campaign(*, campaign_id: UUID, at: datetime, **details: Any) -> Campaign:
    """Change some details of a campaign.

    :raises NotFound: :raises CampaignOver: :raises CampaignStarted: :raises UnfitCampaign: :raises WindowsOverlap:
    """
    known = queries.campaign(campaign_id)
    window = {name: details.get(name, getattr(known, name)) for name in ("starts_at", "ends_at")}
    with _kept_apart(known.sku, window, besides=campaign_id), transaction.atomic(using="marketing"):
        # Of two whose windows would overlap, one waits here: on the constraint they would wait for each other.
        ProductCopy.objects.select_for_update().filter(pk=known.sku).first()
        campaign = _locked(campaign_id)
        campaign.change(at=at, **details)
        if campaign.recorded:
            store(campaign)
    return campaign


def end_campaign(*, campaign_id: UUID, at: datetime) -> Campaign:
    """End a campaign before its window does. :raises NotFound: :raises CampaignOver:"""
    queries.campaign(campaign_id)
    with transaction.atomic(using="marketing"):
        campaign = _locked(campaign_id)
        campaign.end(at=at)
        store(campaign)
    return campaign


def _locked(campaign_id: UUID) -> Campaign:
    campaign: Campaign = Campaign.objects.select_for_update().get(pk=campaign_id)
    return campaign


@contextmanager
def _kept_apart(sku: str, window: dict[str, Any], *, besides: UUID | None = None) -> Iterator[None]:
    """Name the campaign that a window overlaps with, where the constraint refuses it. :raises WindowsOverlap:"""
    try:
        yield
    except IntegrityError as error:
        diagnosis = getattr(error.__cause__, "diag", None)
        if getattr(diagnosis, "constraint_name", None) != WINDOWS:
            raise
        others = queries.campaigns().filter(
            sku=sku, starts_at__lt=window["ends_at"], ends_at__gt=window["starts_at"]
        ).exclude(state=Campaign.State.ENDED)  # fmt: skip
        other = others.exclude(pk__in=[besides] if besides else []).order_by("starts_at").first()
        which = (
            f"campaign {other.pk}, from {other.starts_at.isoformat()} to {other.ends_at.isoformat()}"
            if other
            else "another campaign"
        )
        raise WindowsOverlap(
            f"The window overlaps with that of {which}, of the same product {sku!r}: "
            "choose another window, or end that campaign.",
            sku=sku,
            campaign=other and str(other.pk),
        ) from None
