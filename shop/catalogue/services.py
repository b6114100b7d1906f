"""Commands on the catalogue."""

from typing import Any

from django.db import IntegrityError, transaction

from shop.catalogue.models import Product
from shop.errors import DomainError, NotFound
from shop.messaging.aggregates import store


class ProductExists(DomainError):
    """The catalogue already has a product with this SKU."""

    code = "product_exists"


def add_product(*, sku: str, **fields: Any) -> Product:
    """Add a product. :raises ProductExists: also if another request adds it at the same time."""
    product = Product.add(sku=sku, **fields)
    try:
        with transaction.atomic(using="catalogue"):
            store(product)
    except IntegrityError:
        if not Product.objects.filter(sku=sku).exists():
            raise
        raise ProductExists(f"The catalogue already has a product {sku!r}: change it instead.", sku=sku) from None
    return product


def change_product(*, sku: str, **fields: Any) -> Product:
    """Change some of a product's fields, including ``listed``. :raises NotFound:"""
    with transaction.atomic(using="catalogue"):
        product: Product | None = Product.objects.select_for_update().filter(sku=sku).first()
        if product is None:
            raise NotFound(f"There is no product {sku!r} in the catalogue.", sku=sku)
        product.change(**fields)
        if product.recorded:
            store(product)
    return product
