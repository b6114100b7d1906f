"""Amounts in forms: people write 12.34, and the domain gets 1234 minor units."""

import re
from typing import Any

from django import forms
from unfold.widgets import UnfoldAdminTextInputWidget

from shop.values import decimal_places, format_amount


class MoneyField(forms.CharField):
    """An amount of a currency, as people write it. Its value is an integer of minor units.

    :param currency: ISO 4217.
    :param most: minor units.
    """

    def __init__(self, *, currency: str, most: int, **options: Any) -> None:
        self.currency = currency
        self.most = most
        self.places = decimal_places(currency)
        example = format_amount(1234, currency)
        options.setdefault("help_text", f"In {currency}, such as {example}.")
        options.setdefault("widget", UnfoldAdminTextInputWidget(attrs={"inputmode": "decimal", "autocomplete": "off"}))
        super().__init__(**options)
        fraction = rf"(?:\.([0-9]{{1,{self.places}}}))?" if self.places else "()"
        self._written = re.compile(rf"([0-9]{{1,30}}){fraction}")
        self._rule = f"Write an amount of {currency} such as {example}: " + (
            f"digits, and at most {self.places} after a point." if self.places else "digits alone."
        )

    def prepare_value(self, value: Any) -> Any:
        return format_amount(value, self.currency) if isinstance(value, int) else value

    def to_python(self, value: Any) -> int | None:  # type: ignore[override]
        """:raises ValidationError: saying how it is written."""
        if isinstance(value, int):
            return value
        text = str(value or "").strip()
        if not text:
            return None
        found = self._written.fullmatch(text)
        if found is None:
            raise forms.ValidationError(self._rule)
        amount = int(found[1] + (found[2] or "").ljust(self.places, "0"))
        if amount > self.most:
            most = f"{format_amount(self.most, self.currency)} {self.currency}"
            raise forms.ValidationError(f"It can be {most} at most.")
        return amount
