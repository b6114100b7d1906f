"""The catalogue's tables."""

from typing import Any

from django.conf import settings
from django.core.validators import MaxValueValidator, RegexValidator
from django.db import models

from shop import idempotency
from shop.catalogue.events import ProductAdded, ProductChanged, ProductDelisted, ProductListed
from shop.messaging import models as messaging
from shop.messaging.aggregates import Announced
from shop.values import MAX_PRICE, SKU_PATTERN, SKU_RULE


class Product(Announced):
    """A product with its price; it can be bought while it is listed."""

    sku = models.CharField("SKU", max_length=64, primary_key=True, validators=[RegexValidator(SKU_PATTERN, SKU_RULE)])
    name = models.CharField(max_length=200)
    description = models.TextField(blank=True)
    category = models.CharField(max_length=100, blank=True, db_index=True)
    attributes = models.JSONField(default=dict, blank=True, help_text="Whatever else describes it, as a JSON object.")
    price = models.PositiveBigIntegerField(
        validators=[MaxValueValidator(MAX_PRICE)], help_text=f"In the minor unit of {settings.CURRENCY}."
    )
    listed = models.BooleanField(default=True, help_text="Whether it can be bought.")

    mutable = ("name", "description", "category", "attributes", "price", "listed")

    class Meta:
        ordering = ("sku",)
        constraints = (
            models.CheckConstraint(condition=models.Q(sku__regex=SKU_PATTERN), name="catalogue_product_sku"),
            models.CheckConstraint(condition=models.Q(price__lte=MAX_PRICE), name="catalogue_product_price"),
        )

    def __str__(self) -> str:
        return f"{self.name} ({self.sku})"

    # Factories

    @classmethod
    def add(cls, **fields: Any) -> "Product":
        """Make a new product."""
        product = cls(**fields)
        product.record(ProductAdded(**product._facts()))
        return product

    # Mutators

    def change(self, **fields: Any) -> None:
        """Change some fields; listing and delisting are separate events. Records no event if nothing changed."""
        listed = fields.pop("listed", self.listed)
        changed = {name: value for name, value in fields.items() if getattr(self, name) != value}
        for name, value in changed.items():
            setattr(self, name, value)
        if changed:
            self.record(ProductChanged(**self._facts()))
        if listed != self.listed:
            self.listed = listed
            self.record(ProductListed(sku=self.sku) if listed else ProductDelisted(sku=self.sku))

    def announce(self) -> None:
        self.record(ProductChanged(**self._facts()))

    # Queries

    def _facts(self) -> dict[str, Any]:
        return {
            "sku": self.sku,
            "name": self.name,
            "category": self.category,
            "price": self.price,
            "listed": self.listed,
        }


class IdempotencyKey(idempotency.IdempotencyKey): ...


class Outbox(messaging.Outbox): ...


class OutboxEvent(messaging.OutboxEvent): ...


class Fence(messaging.Fence): ...


class Subscription(messaging.Subscription): ...
