"""What the catalogue says."""

from shop.messaging.events import Event, event


class ProductFacts(Event):
    """What others need to know of a product; they keep a copy."""

    sku: str
    name: str
    """As shown to buyers."""
    category: str
    price: int
    """Minor units of the shop's currency."""
    listed: bool


@event("catalogue.product-added")
class ProductAdded(ProductFacts):
    """There is a new product."""


@event("catalogue.product-changed")
class ProductChanged(ProductFacts):
    """Its name, category or price is another."""


@event("catalogue.product-listed")
class ProductListed(Event):
    """It can be bought."""

    sku: str


@event("catalogue.product-delisted")
class ProductDelisted(Event):
    """It can no longer be bought; orders placed before are not touched."""

    sku: str
