"""What views need to read of the catalogue."""

from django.db.models import QuerySet

from shop.catalogue.models import Product
from shop.errors import NotFound


def products() -> "QuerySet[Product]":
    """Every product, listed or not."""
    found: QuerySet[Product] = Product.objects.all()
    return found


def product(sku: str) -> Product:
    """One product. :raises NotFound:"""
    found = products().filter(sku=sku).first()
    if found is None:
        raise NotFound(f"There is no product {sku!r} in the catalogue.", sku=sku)
    return found
