"""What the catalogue says."""

from shop.messaging.events import Event, event


class ProductFact(Event):
    """Something that happened to a product."""

    sku: str


class ProductFacts(ProductFact):
    """What others need to know of a product; they keep a copy."""

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
class ProductListed(ProductFact):
    """It can be bought."""


@event("catalogue.product-delisted")
class ProductDelisted(ProductFact):
    """It can no longer be bought; orders placed before are not touched."""
