"""The few values that every context spells the same way. Pure: no Django, no I/O."""

import re

MAX_PRICE = 10_000_000_000  # minor units
MAX_QUANTITY = 1_000_000
MAX_LINES = 100

SKU_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
SKU_RULE = "1 to 64 letters, digits, dots, dashes or underscores, starting with a letter or digit"

_sku = re.compile(SKU_PATTERN)


def is_sku(text: str) -> bool:
    """Whether ``text`` can name a product; the rule in words is :data:`SKU_RULE`."""
    return _sku.match(text) is not None
