"""What can be done to the catalogue."""

from typing import Any

from django.db import IntegrityError, transaction

from shop.catalogue.models import Product
from shop.errors import DomainError, NotFound
from shop.messaging.aggregates import store


class ProductExists(DomainError):
    """A product of this SKU is in the catalogue already; change that one."""

    code = "product_exists"


def add_product(*, sku: str, **fields: Any) -> Product:
    """Add a product. :raises ProductExists: also when another request adds it at the same time."""
    product = Product.add(sku=sku, **fields)
    try:
        with transaction.atomic(using="catalogue"):
            store(product)
    except IntegrityError:
        if not Product.objects.filter(sku=sku).exists():
            raise
        raise ProductExists(f"{sku!r} is in the catalogue already: change it instead.", sku=sku) from None
    return product


def change_product(*, sku: str, **fields: Any) -> Product:
    """Give some of a product's fields new values, ``listed`` among them. :raises NotFound:"""
    with transaction.atomic(using="catalogue"):
        product: Product | None = Product.objects.select_for_update().filter(sku=sku).first()
        if product is None:
            raise NotFound(f"There is no product {sku!r} in the catalogue.", sku=sku)
        product.change(**fields)
        if product.recorded:
            store(product)
    return product
