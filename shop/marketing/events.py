"""The events that marketing publishes."""

from datetime import datetime
from uuid import UUID

from shop.messaging.events import Event, event


class CampaignEvent(Event):
    """Something that happened to a campaign."""

    campaign_id: UUID


class CampaignDetails(CampaignEvent):
    """A campaign whole. Whether it runs is for the reader's own clock to say: no event announces start or end."""

    sku: str
    price: int
    """Minor units per unit, while the campaign runs."""
    starts_at: datetime
    ends_at: datetime
    """The first moment at which it no longer runs."""
    limit_per_member: int
    """Units that a member can buy over the campaign's life."""
    allotment: int
    """Units that all members together can buy."""
    state: str
    """``scheduled``, ``suspended`` or ``ended``; only the first runs in its window. More may be added."""


@event("marketing.campaign-scheduled")
class CampaignScheduled(CampaignDetails):
    """A campaign was planned; it is suspended from the first if its product is not listed."""


@event("marketing.campaign-changed")
class CampaignChanged(CampaignDetails):
    """Some of the campaign's details changed; also its present state, said again."""


@event("marketing.campaign-suspended")
class CampaignSuspended(CampaignEvent):
    """The product was delisted: the campaign does not run until it is resumed."""


@event("marketing.campaign-resumed")
class CampaignResumed(CampaignEvent):
    """The product is listed again: the campaign runs if its window says so."""


@event("marketing.campaign-ended")
class CampaignEnded(CampaignEvent):
    """The campaign was ended before its window, for good."""

    at: datetime
