"""Products that release 1.0.0 let in and this one would not: migrated as they are, shown, and mended when changed."""

import json
from collections.abc import Iterator

import psycopg
import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.test import Client
from pytest_django import DjangoDbBlocker

from shop.catalogue.models import Product
from shop.messaging.producer import quiet
from tests.contexts.api import is_problem, staff
from tests.harness import Shop
from tests.upgrade.conftest import HERE, _database, _leading_to, _url

PRODUCTS = "/api/catalogue/products/"
NAME = "unfit_catalogue"

UNFIT = {
    "nested": ("", '{"a": ' * 50 + "{}" + "}" * 50),
    "wordy": ("x" * 2_400_000, "{}"),
    "wide": ("", json.dumps({str(number): number for number in range(2000)})),
    "array": ("", "[]"),
}
ABYSS = '{"a": ' * 900 + "{}" + "}" * 900
INSERT = """
INSERT INTO catalogue_product (sku, name, description, category, attributes, price, listed)
VALUES (%s, 'Old', %s, '', %s, 5, true)
"""


@pytest.fixture
def unfit(shop: Shop, django_db_blocker: DjangoDbBlocker, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The catalogue of the older release with such products, and one that no page could show, migrated."""
    monkeypatch.setattr(quiet, "_quiet", {})  # what this process knows of its usual databases
    with django_db_blocker.unblock(), _database("catalogue", NAME, dump=HERE / "release_1_0_0" / "catalogue.sql"):
        with psycopg.connect(_url("catalogue", NAME)) as database:
            for sku, (description, attributes) in {**UNFIT, "abyss": ("", ABYSS)}.items():
                database.execute(INSERT, [sku, description, attributes])
        with _leading_to("catalogue", NAME):
            call_command("migrate", database="catalogue", verbosity=0)
            yield


def test_unfit_products_stay_as_they_are_and_are_mended_when_they_are_changed(unfit: None) -> None:
    clerk = staff("catalogue")
    for sku, (description, attributes) in UNFIT.items():
        found = clerk.get(f"{PRODUCTS}{sku}/").json()
        assert (found["description"], found["attributes"]) == (description, json.loads(attributes)), sku
        refused = clerk.patch(f"{PRODUCTS}{sku}/", {"price": 6})
        assert is_problem(refused, 422, "unfit_product"), sku
        field = "description" if sku == "wordy" else "attributes"
        assert [error["path"] for error in refused.json()["errors"]] == [field], sku
        assert Product.objects.get(pk=sku).price == 5
    assert len(clerk.get(PRODUCTS, {"page_size": 500}).json()["results"]) == Product.objects.count()
    for sku in UNFIT:
        mended = clerk.patch(f"{PRODUCTS}{sku}/", {"price": 6, "description": "", "attributes": {}})
        assert (mended.status_code, mended.json()["price"]) == (200, 6), sku


def test_attributes_too_deep_to_be_shown_are_kept_as_text(unfit: None) -> None:
    assert staff("catalogue").get(f"{PRODUCTS}abyss/").json()["attributes"] == {"text": ABYSS}


def test_the_admins_page_of_an_unfit_product_opens_and_mends_it(unfit: None) -> None:
    browser = Client()
    browser.force_login(User.objects.create_superuser("boss"))
    for sku in ("abyss", *UNFIT):
        address = f"/admin/catalogue/product/{sku}/change/"
        assert browser.get(address).status_code == 200, sku
    fields = {"name": "Old", "category": "", "price": "6", "description": "", "listed": "on"}
    address = "/admin/catalogue/product/nested/change/"
    refused = browser.post(address, fields | {"attributes": UNFIT["nested"][1]})
    assert "nested too deeply" in refused.content.decode()
    assert browser.post(address, fields | {"attributes": '{"a": 1}'}).status_code == 302
    assert Product.objects.get(pk="nested").attributes == {"a": 1}
