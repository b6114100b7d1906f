"""The catalogue in the admin."""

from collections.abc import Sequence
from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from shop import json_text
from shop.admin.money import MoneyField
from shop.admin.pages import DomainPage, RefusableForm, each
from shop.admin.shown import badge
from shop.catalogue import policies, services
from shop.catalogue.models import Product
from shop.messaging.admin.timeline import events_of_key
from shop.values import MAX_PRICE, format_money

MAX_TYPED = 10 * policies.MAX_ATTRIBUTES_BYTES  # characters of attributes as typed, spaces included


class AttributesField(forms.JSONField):
    """A product's attributes, read as the API reads them."""

    def to_python(self, value: Any) -> Any:
        if not isinstance(value, str) or value in self.empty_values:
            return super().to_python(value)
        if len(value) > MAX_TYPED:
            raise forms.ValidationError(f"They are {len(value)} characters; at most {MAX_TYPED} are read.")
        try:
            return json_text.loads(value)
        except json_text.UnreadableJSON as error:
            raise forms.ValidationError(str(error)) from None

    # What was typed is shown again as it was: Django would parse it here, however deep it is.

    def bound_data(self, data: Any, initial: Any) -> Any:
        return data

    def prepare_value(self, value: Any) -> Any:
        return value if isinstance(value, str) else super().prepare_value(value)


class ProductForm(RefusableForm):
    """A product's fields; the price is written in the currency, not in its minor unit."""

    price = MoneyField(label="Price", currency=settings.CURRENCY, most=MAX_PRICE)

    class Meta:
        field_classes = {"attributes": AttributesField}

    def clean_attributes(self) -> dict[str, Any]:
        attributes: Any = self.cleaned_data["attributes"]
        if fault := policies.fault_of_attributes(attributes):  # Django's own check passes over an empty array
            raise forms.ValidationError(fault)
        return dict(attributes)


@admin.register(Product)
class ProductPage(DomainPage):
    """What is sold. A product is never deleted: it is delisted."""

    form = ProductForm
    list_display = ("sku", "name", "category", "amount", "state")
    search_fields = ("sku", "category")
    search_help_text = "SKU or category, exactly"
    ordering = ("sku",)
    fields = ("sku", "name", ("category", "price"), "description", "attributes", "listed")
    actions = ("list_products", "delist_products")

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Sequence[Any]:
        if obj is None:
            return self.fields
        # Who may only look is shown values as the model has them: a price would be in minor units.
        price = "price" if self.has_change_permission(request, obj) else "amount"
        return ("sku", "name", ("category", price), "description", "attributes", "listed", "events")

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Sequence[str]:
        return ("sku", "amount", "events") if obj else ("events",)

    def save_model(self, request: HttpRequest, obj: Product, form: Any, change: bool) -> None:
        if change:
            fields = {name: form.cleaned_data[name] for name in form.changed_data}
            services.change_product(sku=obj.sku, **fields)
        else:
            services.add_product(**form.cleaned_data)

    @admin.display(description="price")
    def amount(self, row: Product) -> str:
        return format_money(row.price, settings.CURRENCY)

    @admin.display(description="state")
    def state(self, row: Product) -> str:
        return badge("listed", "success") if row.listed else badge("delisted")

    @admin.display(description="announcements")
    def events(self, row: Product) -> str:
        return events_of_key("catalogue", row.sku)

    @admin.action(permissions=["operate"], description="List: they can be bought")
    def list_products(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        each(self, request, list(queryset), lambda row: listed(row, True), done=("product", "listed"), log="Listed.")

    @admin.action(permissions=["operate"], description="Delist: they can no longer be bought")
    def delist_products(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        each(
            self, request, list(queryset), lambda row: listed(row, False), done=("product", "delisted"), log="Delisted."
        )


def listed(product: Product, value: bool) -> Product:
    """List or delist a product. :raises NotFound:"""
    return services.change_product(sku=product.sku, listed=value)
