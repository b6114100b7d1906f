"""The rules of describing a product. Pure: no Django, no I/O. The table's constraints say the same in SQL."""

import json
from decimal import Decimal
from typing import Any

from shop.json_text import measure

MAX_DESCRIPTION = 20_000  # characters
MAX_ATTRIBUTES_DEPTH = 10  # objects and arrays within each other, the outermost included
MAX_ATTRIBUTES_VALUES = 500  # at any depth
MAX_ATTRIBUTES_BYTES = 16_384  # as PostgreSQL writes them


def fault_of_description(text: str) -> str | None:
    """Say what is wrong with a description, if anything is."""
    if len(text) > MAX_DESCRIPTION:
        return f"The description has {len(text)} characters; it may have at most {MAX_DESCRIPTION}."
    return None


def fault_of_attributes(attributes: Any) -> str | None:
    """Say what is wrong with attributes, if anything is."""
    if not isinstance(attributes, dict):
        return 'They must be a JSON object, such as {"colour": "black"}.'
    depth, values = measure(attributes)
    if depth > MAX_ATTRIBUTES_DEPTH:
        return f"They are nested {depth} deep; they may be at most {MAX_ATTRIBUTES_DEPTH}."
    if values > MAX_ATTRIBUTES_VALUES:
        return f"They have {values} values at all depths; they may have at most {MAX_ATTRIBUTES_VALUES}."
    size = len(json.dumps(_written_out(attributes), ensure_ascii=False).encode())
    if size > MAX_ATTRIBUTES_BYTES:
        return f"They are {size} bytes of JSON; they may be at most {MAX_ATTRIBUTES_BYTES}."
    return None


def _written_out(data: Any) -> Any:
    """Replace floats by as many digits as PostgreSQL's: it writes 1e300 as 301 of them. Not deep by now."""
    if isinstance(data, float):
        return 10 ** (len(f"{Decimal(repr(data)):f}") - 1)
    if isinstance(data, dict):
        return {name: _written_out(value) for name, value in data.items()}
    return [_written_out(value) for value in data] if isinstance(data, list) else data
