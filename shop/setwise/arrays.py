"""PostgreSQL array literals, a column at a time.

psycopg adapts lists too, value by value in Python; on the hot path, where a batch writes some ten thousand
values, that alone took a fifth of a worker's time. The literal is passed as one ordinary parameter.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import msgspec

_encode = msgspec.json.Encoder().encode


def of_plain(values: Iterable[Any]) -> str:
    """Values whose text form needs no quotes: numbers, booleans, UUIDs. ``None`` is NULL."""
    return "{" + ",".join(["NULL" if value is None else str(value) for value in values]) + "}"


def of_times(values: Iterable[datetime | None]) -> str:
    """Aware times."""
    return "{" + ",".join(["NULL" if value is None else value.isoformat() for value in values]) + "}"


def of_text(values: Iterable[str | None]) -> str:
    """Any text."""
    return "{" + ",".join(["NULL" if value is None else _quoted(value) for value in values]) + "}"


def of_json(values: Iterable[Any]) -> str:
    """JSON documents, each given as what it means; ``None`` is SQL's NULL, not JSON's."""
    return "{" + ",".join(["NULL" if value is None else _quoted(_encode(value).decode()) for value in values]) + "}"


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
