"""Marketing's reactions to other contexts' events, and its periodic tasks."""

from celery import shared_task
from django.conf import settings

from shop.catalogue.events import (
    ProductAdded,
    ProductChanged,
    ProductDelisted,
    ProductDetails,
    ProductEvent,
    ProductListed,
)
from shop.databases import database_time
from shop.idempotency import forget_keys
from shop.marketing.models import Campaign, IdempotencyKey, ProductCopy
from shop.messaging.aggregates import store
from shop.messaging.batches import Batch
from shop.messaging.reactions import consumes


@consumes("catalogue", ProductAdded, ProductChanged, ProductListed, ProductDelisted)
def copy_products(batch: Batch) -> None:
    """Copy each product's name and whether it is listed; suspend the campaigns of a delisted one, resume of a listed.

    Campaigns follow what the batch ends with. Listing a product that is unknown here, since an operator discarded
    the event that added it, does nothing.
    """
    skus = {event.sku for event in batch.of(ProductEvent)}
    rows = ProductCopy.objects.filter(pk__any_of=skus).order_by("pk").select_for_update()
    copies = {copy.sku: copy for copy in rows}
    for received in batch:
        match received.data:
            case ProductDetails(sku=sku, name=name, listed=listed):
                copies[sku] = ProductCopy(sku=sku, name=name, listed=listed)
            case ProductListed(sku=sku) if sku in copies:
                copies[sku].listed = True
            case ProductDelisted(sku=sku) if sku in copies:
                copies[sku].listed = False
    if not copies:
        return
    ProductCopy.objects.bulk_create(
        [copies[sku] for sku in sorted(copies)],
        update_conflicts=True,
        unique_fields=["sku"],
        update_fields=["name", "listed"],
    )
    lasting = Campaign.objects.filter(sku__any_of=copies, ends_at__gt=database_time("marketing"))
    campaigns = list(lasting.exclude(state=Campaign.State.ENDED).order_by("pk").select_for_update())
    for campaign in campaigns:
        campaign.follow(listed=copies[campaign.sku].listed)
    store(*(campaign for campaign in campaigns if campaign.recorded))


@shared_task
def forget_idempotency_keys() -> None:
    """Delete Idempotency-Keys that are older than their life."""
    forget_keys(IdempotencyKey, at=database_time("marketing"), life=settings.IDEMPOTENCY_KEY_LIFE)
