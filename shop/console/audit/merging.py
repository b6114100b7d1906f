"""Merges two streams that are sorted by ``key``, in constant memory."""

from collections.abc import Iterator

from shop.console.audit.snapshots import Row

Pair = tuple[str, Row | None, Row | None]


def side_by_side(left: Iterator[Row], right: Iterator[Row]) -> Iterator[Pair]:
    """Yield each key with its row on either side, or ``None`` where there is none.

    Both have each key once, in the order of its code points: ``COLLATE "C"``, or the order of UUIDs.
    """
    one, other = next(left, None), next(right, None)
    while one is not None or other is not None:
        key = min(row["key"] for row in (one, other) if row is not None)
        here = one if one is not None and one["key"] == key else None
        there = other if other is not None and other["key"] == key else None
        yield key, here, there
        if here is not None:
            one = next(left, None)
        if there is not None:
            other = next(right, None)


def differences(expected: Row, actual: Row) -> Row:
    """Return the fields that are not as expected, as ``field: actual, not expected``."""
    return {
        field: f"{actual[field]!s}, not {value!s}"
        for field, value in expected.items()
        if field != "key" and actual[field] != value
    }
