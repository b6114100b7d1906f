"""What views need to read of the inventory."""

from django.db.models import QuerySet

from inventory.models import StockItem, StockMovement
from shop.errors import NotFound


def items() -> "QuerySet[StockItem]":
    """Every stock item."""
    found: QuerySet[StockItem] = StockItem.objects.all()
    return found


def item(sku: str) -> StockItem:
    """How much there is of one SKU. :raises NotFound:"""
    found = items().filter(sku=sku).first()
    if found is None:
        raise NotFound(f"There is no stock item {sku!r}.", sku=sku)
    return found


def movements(sku: str) -> "QuerySet[StockMovement]":
    """The ledger of one SKU. :raises NotFound: if it has no stock item."""
    return StockMovement.objects.filter(sku=item(sku).sku)
