"""Queries of the inventory, for its views."""

from django.db.models import QuerySet

from inventory.models import StockItem, StockMovement
from shop.errors import NotFound


def items() -> "QuerySet[StockItem]":
    """Select every stock item."""
    everything: QuerySet[StockItem] = StockItem.objects.all()
    return everything


def item(sku: str) -> StockItem:
    """Load one stock item. :raises NotFound:"""
    item = items().filter(sku=sku).first()
    if item is None:
        raise NotFound(f"There is no stock item {sku!r}.", sku=sku)
    return item


def movements(sku: str) -> "QuerySet[StockMovement]":
    """Select the ledger of one SKU. :raises NotFound: if it has no stock item."""
    return StockMovement.objects.filter(sku=item(sku).sku)
