"""How amounts are written."""

import pytest

from shop.values import format_money


@pytest.mark.parametrize(
    ("amount", "currency", "written"),
    [
        (1234, "CNY", "12.34 CNY"),
        (5, "CNY", "0.05 CNY"),
        (0, "EUR", "0.00 EUR"),
        (-150, "EUR", "-1.50 EUR"),
        (1234, "JPY", "1234 JPY"),
        (1234, "KWD", "1.234 KWD"),
    ],
)
def test_an_amount_is_written_with_its_currencys_minor_unit(amount: int, currency: str, written: str) -> None:
    assert format_money(amount, currency) == written
