"""Marketing's tables."""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from django.contrib.postgres.constraints import ExclusionConstraint
from django.contrib.postgres.fields import DateTimeRangeField, RangeOperators
from django.db import models
from django.db.models import F, Q
from uuid_utils.compat import uuid7

from shop import idempotency
from shop.errors import DomainError, Invalid
from shop.marketing import policies
from shop.marketing.events import (
    CampaignChanged,
    CampaignEnded,
    CampaignResumed,
    CampaignScheduled,
    CampaignSuspended,
)
from shop.messaging import models as messaging
from shop.messaging.aggregates import Announced
from shop.values import MAX_PRICE, MAX_QUANTITY, SKU_PATTERN


class UnfitCampaign(Invalid):
    """A campaign's price, window, limit or allotment is beyond what is allowed; ``errors`` names each."""

    code = "unfit_campaign"


class CampaignOver(DomainError):
    """A campaign that has ended stays as it is."""

    code = "campaign_over"


class CampaignStarted(DomainError):
    """Price, start, limit and allotment are fixed once a campaign has started."""

    code = "campaign_started"


class ProductCopy(models.Model):
    """The fields of a product that campaigns need, copied from the catalogue's events."""

    sku = models.CharField("SKU", max_length=64, primary_key=True)
    name = models.CharField(max_length=200)
    listed = models.BooleanField()

    class Meta:
        ordering = ("sku",)
        verbose_name_plural = "product copies"

    def __str__(self) -> str:
        return f"{self.name} ({self.sku})"


class Campaign(Announced):
    """A product at a sale price, for a time, with a limit for each member and an allotment for all."""

    class State(models.TextChoices):
        SCHEDULED = policies.SCHEDULED
        SUSPENDED = policies.SUSPENDED
        ENDED = policies.ENDED

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    sku = models.CharField("SKU", max_length=64)
    price = models.PositiveBigIntegerField()
    starts_at = models.DateTimeField("starts at (UTC)")
    ends_at = models.DateTimeField("ends at (UTC)")
    limit_per_member = models.PositiveIntegerField(help_text="Units that a member can buy over the campaign's life.")
    allotment = models.PositiveIntegerField(help_text="Units that all members together can buy.")
    state = models.CharField(max_length=10, choices=State, default=State.SCHEDULED, editable=False)
    ended_at = models.DateTimeField("ended early at", null=True, blank=True, editable=False)

    details = ("price", "starts_at", "ends_at", "limit_per_member", "allotment")
    mutable = (*details, "state", "ended_at")

    class Meta:
        ordering = ("-id",)
        indexes = (models.Index(fields=("ends_at",), name="marketing_campaign_ends"),)
        constraints = (
            models.CheckConstraint(condition=Q(sku__regex=SKU_PATTERN), name="marketing_campaign_sku"),
            models.CheckConstraint(condition=Q(price__range=(1, MAX_PRICE)), name="marketing_campaign_price"),
            models.CheckConstraint(
                condition=Q(limit_per_member__range=(1, MAX_QUANTITY)), name="marketing_campaign_limit"
            ),
            models.CheckConstraint(
                condition=Q(allotment__range=(1, policies.MAX_ALLOTMENT)), name="marketing_campaign_allotment"
            ),
            models.CheckConstraint(
                condition=Q(ends_at__gt=F("starts_at")) & Q(ends_at__lte=F("starts_at") + policies.MAX_WINDOW),
                name="marketing_campaign_window",
            ),
            models.CheckConstraint(
                condition=Q(state__in=("scheduled", "suspended"), ended_at__isnull=True)
                | Q(state="ended", ended_at__isnull=False),
                name="marketing_campaign_state",
            ),
            ExclusionConstraint(
                name="marketing_campaign_windows",
                expressions=[
                    ("sku", RangeOperators.EQUAL),
                    (
                        models.Func("starts_at", "ends_at", function="tstzrange", output_field=DateTimeRangeField()),
                        RangeOperators.OVERLAPS,
                    ),
                ],
                condition=~Q(state="ended"),
            ),
        )

    def __str__(self) -> str:
        return f"{self.sku} from {self.starts_at:%Y-%m-%d %H:%M}"

    # Factories

    @classmethod
    def schedule(cls, *, product: ProductCopy, at: datetime, **details: Any) -> "Campaign":
        """Plan a campaign for a product; one that is not listed has it suspended. :raises UnfitCampaign:"""
        campaign = cls(sku=product.sku, **details)
        campaign._check(at=at)
        if not product.listed:
            campaign.state = cls.State.SUSPENDED
        campaign.record(CampaignScheduled(**campaign._whole()))
        return campaign

    # Mutators

    def change(self, *, at: datetime, **details: Any) -> None:
        """Change some details; once it has started, ``ends_at`` alone. Records no event if nothing changed.

        :raises CampaignOver: :raises CampaignStarted: :raises UnfitCampaign:
        """
        self._check_not_over(at=at)
        changed = {name: value for name, value in details.items() if getattr(self, name) != value}
        fixed = [name for name in policies.FIXED if name in changed] if at >= self.starts_at else []
        if fixed:
            raise CampaignStarted(
                f"Campaign {self.pk} has started: {', '.join(fixed)} can no longer be changed. "
                "End it and schedule another, or change ends_at.",
                fields=fixed,
            )
        for name, value in changed.items():
            setattr(self, name, value)
        if changed:
            self._check(at=at)
            self.announce()

    def end(self, *, at: datetime) -> None:
        """End it before its window does, for good. :raises CampaignOver:"""
        self._check_not_over(at=at)
        self.state, self.ended_at = self.State.ENDED, at
        self.record(CampaignEnded(campaign_id=self.pk, at=at))

    def follow(self, *, listed: bool) -> None:
        """Suspend it while its product is not listed. Records no event if nothing changed, or if it was ended."""
        if self.state == self.State.SCHEDULED and not listed:
            self.state = self.State.SUSPENDED
            self.record(CampaignSuspended(campaign_id=self.pk))
        elif self.state == self.State.SUSPENDED and listed:
            self.state = self.State.SCHEDULED
            self.record(CampaignResumed(campaign_id=self.pk))

    def announce(self) -> None:
        self.record(CampaignChanged(**self._whole()))

    # Queries

    def validate_constraints(self, exclude: Collection[str] | None = None) -> None:
        """Leave constraints to the domain, which says what is wrong and names the campaign that a window overlaps."""

    def stage(self, at: datetime) -> str:
        """Return what it is at that moment: ``scheduled``, ``running``, ``suspended`` or ``ended``."""
        return policies.stage(self.state, self.starts_at, self.ends_at, at=at)

    def _check_not_over(self, *, at: datetime) -> None:
        if self.stage(at) == policies.ENDED:
            over = min(self.ended_at or self.ends_at, self.ends_at)
            raise CampaignOver(
                f"Campaign {self.pk} ended at {over.isoformat()}: schedule another.", ended_at=over.isoformat()
            )

    def _check(self, *, at: datetime) -> None:
        faults = policies.faults({name: getattr(self, name) for name in self.details}, at=at)
        if faults:
            raise UnfitCampaign(
                f"The campaign cannot be stored. {_sentence(faults)}",
                errors=[{"path": field, "code": "invalid", "detail": fault} for field, fault in faults.items()],
            )

    def _whole(self) -> dict[str, Any]:
        fields = {name: getattr(self, name) for name in ("sku", *self.details)}
        return {"campaign_id": self.pk, **fields, "state": str(self.state)}


def _sentence(faults: Mapping[str, str]) -> str:
    return " ".join(f"{field}: {fault}" for field, fault in faults.items())


class IdempotencyKey(idempotency.IdempotencyKey): ...


class Outbox(messaging.Outbox): ...


class OutboxEvent(messaging.OutboxEvent): ...


class Fence(messaging.Fence): ...


class Subscription(messaging.Subscription): ...


class Cursor(messaging.Cursor): ...


class Generation(messaging.Generation): ...


class DeadLetter(messaging.DeadLetter): ...


class LetterRetry(messaging.LetterRetry): ...
