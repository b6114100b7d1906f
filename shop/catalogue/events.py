"""What the catalogue says."""

from shop.messaging.events import Event, event


class ProductEvent(Event):
    """Something that happened to a product."""

    sku: str


class ProductDetails(ProductEvent):
    """What others need to know of a product; they keep a copy."""

    name: str
    """As shown to buyers."""
    category: str
    price: int
    """Minor units of the shop's currency."""
    listed: bool


@event("catalogue.product-added")
class ProductAdded(ProductDetails):
    """There is a new product."""


@event("catalogue.product-changed")
class ProductChanged(ProductDetails):
    """Its name, category or price is another."""


@event("catalogue.product-listed")
class ProductListed(ProductEvent):
    """It can be bought."""


@event("catalogue.product-delisted")
class ProductDelisted(ProductEvent):
    """It can no longer be bought; orders placed before are not touched."""
