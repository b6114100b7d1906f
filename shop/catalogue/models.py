"""The catalogue's tables."""

from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, RegexValidator
from django.db import models
from django.db.models.functions import Length
from django.db.models.lookups import LessThanOrEqual

from shop import idempotency
from shop.catalogue import policies
from shop.catalogue.events import ProductAdded, ProductChanged, ProductDelisted, ProductListed
from shop.errors import Invalid
from shop.messaging import models as messaging
from shop.messaging.aggregates import Announced
from shop.values import MAX_PRICE, SKU_PATTERN, SKU_RULE


class UnfitProduct(Invalid):
    """A product's description or attributes are beyond what is allowed: shorten them."""

    code = "unfit_product"


def validate_attributes(attributes: Any) -> None:
    """Check a product's attributes, for forms. :raises ValidationError:"""
    if fault := policies.fault_of_attributes(attributes):
        raise ValidationError(fault)


def _attributes_hold(condition: str) -> models.Func:
    """Make a condition on the attributes; ``%(expressions)s`` stands for them."""
    return models.Func(models.F("attributes"), template=condition, output_field=models.BooleanField())


DEEPER = f'strict $.**{{{policies.MAX_ATTRIBUTES_DEPTH}}} ? (@.type() == "object" || @.type() == "array")'


class Product(Announced):
    """A product with its price; it can be bought while it is listed."""

    sku = models.CharField("SKU", max_length=64, primary_key=True, validators=[RegexValidator(SKU_PATTERN, SKU_RULE)])
    name = models.CharField(max_length=200)
    description = models.TextField(blank=True, max_length=policies.MAX_DESCRIPTION)
    category = models.CharField(max_length=100, blank=True, db_index=True)
    attributes = models.JSONField(
        default=dict,
        blank=True,
        validators=[validate_attributes],
        help_text="Whatever else describes it, as a JSON object.",
    )
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
            models.CheckConstraint(
                condition=LessThanOrEqual(Length("description"), policies.MAX_DESCRIPTION),
                name="catalogue_product_description",
            ),
            models.CheckConstraint(
                condition=_attributes_hold("jsonb_typeof(%(expressions)s) = 'object'"),
                name="catalogue_product_attributes_object",
            ),
            models.CheckConstraint(
                condition=_attributes_hold(
                    f"octet_length(%(expressions)s::text) <= {policies.MAX_ATTRIBUTES_BYTES}",
                ),
                name="catalogue_product_attributes_size",
            ),
            models.CheckConstraint(
                condition=_attributes_hold(f"NOT jsonb_path_exists(%(expressions)s, '{DEEPER}')"),
                name="catalogue_product_attributes_depth",
            ),
            models.CheckConstraint(
                condition=_attributes_hold(
                    "jsonb_array_length(jsonb_path_query_array(%(expressions)s, 'strict $.**')) "
                    f"<= {policies.MAX_ATTRIBUTES_VALUES + 1}",  # the object itself is one
                ),
                name="catalogue_product_attributes_count",
            ),
        )

    def __str__(self) -> str:
        return f"{self.name} ({self.sku})"

    # Factories

    @classmethod
    def add(cls, **fields: Any) -> "Product":
        """Make a new product. :raises UnfitProduct:"""
        product = cls(**fields)
        product._check()
        product.record(ProductAdded(**product._facts()))
        return product

    # Mutators

    def change(self, **fields: Any) -> None:
        """Change some fields; listing and delisting are separate events. Records no event if nothing changed.

        :raises UnfitProduct: also for what an older release let in, until it is changed with the rest.
        """
        listed = fields.pop("listed", self.listed)
        changed = {name: value for name, value in fields.items() if getattr(self, name) != value}
        for name, value in changed.items():
            setattr(self, name, value)
        if changed:
            self.record(ProductChanged(**self._facts()))
        if listed != self.listed:
            self.listed = listed
            self.record(ProductListed(sku=self.sku) if listed else ProductDelisted(sku=self.sku))
        if self.recorded:
            self._check()

    def announce(self) -> None:
        self.record(ProductChanged(**self._facts()))

    # Queries

    def _check(self) -> None:
        faults = {
            "description": policies.fault_of_description(self.description),
            "attributes": policies.fault_of_attributes(self.attributes),
        }
        errors = [
            {"path": field, "code": "invalid", "detail": fault} for field, fault in faults.items() if fault is not None
        ]
        if errors:
            detail = " ".join(f"{error['path']}: {error['detail']}" for error in errors)
            raise UnfitProduct(f"Product {self.sku!r} cannot be stored. {detail}", errors=errors)

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
