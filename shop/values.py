"""The few values that every context spells the same way. Pure: no Django, no I/O."""

import re

MAX_PRICE = 10_000_000_000  # minor units
MAX_QUANTITY = 1_000_000
MAX_LINES = 100
MAX_CREDIT = 1_000_000_000_000_000  # minor units of a member's limit

SKU_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
SKU_RULE = "1 to 64 letters, digits, dots, dashes or underscores, starting with a letter or digit"

_sku = re.compile(SKU_PATTERN)


def is_sku(text: str) -> bool:
    """Whether ``text`` can name a product; the rule in words is :data:`SKU_RULE`."""
    return _sku.fullmatch(text) is not None


# ISO 4217: currencies whose minor unit is not a hundredth. (Not CLDR's digits, which are about cash: ALL and IRR have
# hundredths here and none there.)
_WITHOUT_MINOR_UNIT = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF"
_WITH_THOUSANDTHS = "BHD IQD JOD KWD LYD OMR TND"
_WITH_TEN_THOUSANDTHS = "CLF UYW"


def decimal_places(currency: str) -> int:
    """Return how many decimals the minor unit of a currency is: 2 of CNY, 0 of JPY, 3 of KWD."""
    if currency in _WITHOUT_MINOR_UNIT:
        return 0
    if currency in _WITH_THOUSANDTHS:
        return 3
    return 4 if currency in _WITH_TEN_THOUSANDTHS else 2


def format_amount(amount: int, currency: str) -> str:
    """Write minor units as people do, without the currency: ``1234, "CNY"`` is ``12.34``, ``1234, "JPY"`` ``1234``."""
    places = decimal_places(currency)
    if places == 0:
        return str(amount)
    whole, part = divmod(abs(amount), 10**places)
    return f"{'-' if amount < 0 else ''}{whole}.{part:0{places}}"


def format_money(amount: int, currency: str) -> str:
    """Write minor units with their currency: ``1234, "CNY"`` is ``12.34 CNY``, ``1234, "JPY"`` ``1234 JPY``."""
    return f"{format_amount(amount, currency)} {currency}"
