"""How amounts are written, and how people write them in forms."""

from collections.abc import Callable

import pytest
from django.core.exceptions import ValidationError

from shop.admin.money import MoneyField
from shop.catalogue.models import Product
from shop.values import MAX_PRICE, format_money
from tests.contexts.admin.conftest import Browser
from tests.harness import Shop


@pytest.mark.parametrize(
    ("amount", "currency", "written"),
    [
        (1234, "CNY", "12.34 CNY"),
        (5, "CNY", "0.05 CNY"),
        (0, "EUR", "0.00 EUR"),
        (-150, "EUR", "-1.50 EUR"),
        (1234, "JPY", "1234 JPY"),
        (1234, "KWD", "1.234 KWD"),
        (5, "CLF", "0.0005 CLF"),
    ],
)
def test_an_amount_is_written_with_its_currencys_minor_unit(amount: int, currency: str, written: str) -> None:
    assert format_money(amount, currency) == written


@pytest.mark.parametrize(
    ("currency", "written", "amount"),
    [("CNY", "12.34", 1234), ("CNY", " 12.3 ", 1230), ("CNY", "12", 1200), ("JPY", "1234", 1234), ("KWD", "1.2", 1200)],
)
def test_an_amount_in_a_form_is_read_in_the_currency(currency: str, written: str, amount: int) -> None:
    field = MoneyField(currency=currency, most=MAX_PRICE)
    assert field.clean(written) == amount
    assert field.clean(field.prepare_value(amount)) == amount
    assert not field.has_changed(amount, written)


@pytest.mark.parametrize(
    ("currency", "written"),
    [
        *(("CNY", text) for text in ("", "-1", "1.234", "1,50", "1e3", "NaN", ".5", "１２", "100000000.01")),
        ("JPY", "12.34"),
    ],
)
def test_what_is_no_amount_of_the_currency_is_refused_never_rounded(currency: str, written: str) -> None:
    with pytest.raises(ValidationError):
        MoneyField(currency=currency, most=MAX_PRICE).clean(written)


def test_a_price_is_shown_and_written_in_the_currency(shop: Shop, boss: Browser) -> None:
    shop.sell("phone", price=1234)
    page = boss.opened("catalogue_product", "phone")
    assert page.context["adminform"].form["price"].value() == "12.34"
    assert "In CNY, such as 12.34." in page.content.decode()
    form = {"name": "Phone", "category": "things", "attributes": "{}", "listed": "on"}
    boss.save("catalogue_product", "phone", **form, price="99.90")
    assert Product.objects.get().price == 9990
    refused = boss.save("catalogue_product", "phone", **form, price="99.999")
    assert "Write an amount of CNY such as 12.34" in refused.content.decode()
    assert 'value="99.999"' in refused.content.decode()


def test_who_may_only_look_sees_the_price_in_the_currency_too(shop: Shop, staff: Callable[..., Browser]) -> None:
    shop.sell("phone", price=1234)
    shop.drain()
    looker = staff("view_product", "view_productcopy")
    for model in ("catalogue_product", "orders_productcopy"):
        for page in (looker.opened(model, "phone"), looker.listed(model)):
            assert "12.34 CNY" in page.content.decode()
            assert "1234" not in page.content.decode()
