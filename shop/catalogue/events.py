"""The events that the catalogue publishes."""

from shop.messaging.events import Event, event


class ProductEvent(Event):
    """Something that happened to a product."""

    sku: str


class ProductDetails(ProductEvent):
    """The fields of a product that other contexts copy."""

    name: str
    """As shown to buyers."""
    category: str
    price: int
    """Minor units of the shop's currency."""
    listed: bool


@event("catalogue.product-added")
class ProductAdded(ProductDetails):
    """A product was added."""


@event("catalogue.product-changed")
class ProductChanged(ProductDetails):
    """Some of the product's fields changed; listing and delisting have their own events."""


@event("catalogue.product-listed")
class ProductListed(ProductEvent):
    """The product can be bought."""


@event("catalogue.product-delisted")
class ProductDelisted(ProductEvent):
    """The product can no longer be bought; orders placed before are not affected."""
