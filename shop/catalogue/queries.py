"""Queries of the catalogue, for its views."""

from django.db.models import QuerySet

from shop.catalogue.models import Product
from shop.errors import NotFound


def products() -> "QuerySet[Product]":
    """Select every product, listed or not."""
    everything: QuerySet[Product] = Product.objects.all()
    return everything


def product(sku: str) -> Product:
    """Load one product. :raises NotFound:"""
    product = products().filter(sku=sku).first()
    if product is None:
        raise NotFound(f"There is no product {sku!r} in the catalogue.", sku=sku)
    return product
