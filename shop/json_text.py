"""JSON as the shop takes it from outside: what is read here can be stored, and means one thing only. Pure."""

import json
import math
from collections.abc import Iterator
from typing import Any, NamedTuple

MAX_DEPTH = 20  # objects and arrays within each other


class UnreadableJSON(ValueError):
    """The text is not JSON, or not JSON that can be stored; the message is for whoever sent it."""


class Shape(NamedTuple):
    """How large a value is: ``values`` counts everything in it, at any depth; ``depth`` of a scalar is 0."""

    depth: int
    values: int


def loads(text: bytes | str) -> Any:
    """Read JSON with bounded nesting, finite numbers, each field once, no NUL and no lone surrogates.

    :raises UnreadableJSON:
    """
    try:
        text = text.decode() if isinstance(text, bytes) else text
        data = json.loads(
            text, parse_constant=_refuse_constant, parse_float=_finite, object_pairs_hook=_each_field_once
        )
    except UnreadableJSON:
        raise
    except UnicodeDecodeError:
        raise UnreadableJSON("The text is not UTF-8.") from None
    except RecursionError:
        raise UnreadableJSON(TOO_DEEP) from None
    except json.JSONDecodeError as error:
        reason = "unexpected byte order mark" if "BOM" in error.msg else error.msg.removesuffix(" at")
        raise UnreadableJSON(f"The text is not JSON: {reason} (line {error.lineno}, column {error.colno}).") from None
    except ValueError:
        raise UnreadableJSON("The JSON has a number with too many digits.") from None
    if measure(data).depth > MAX_DEPTH:
        raise UnreadableJSON(TOO_DEEP)
    if "\\u" in text:
        _refuse_what_cannot_be_stored("".join(_texts(data)))
    return data


def measure(data: Any) -> Shape:
    """Measure a JSON value, level by level: however deep it is, nothing recurses."""
    depth, values, level = 0, 0, _containers([data])
    while level:
        inner = [value for each in level for value in (each.values() if isinstance(each, dict) else each)]
        depth, values, level = depth + 1, values + len(inner), _containers(inner)
    return Shape(depth, values)


TOO_DEEP = f"The JSON is nested too deeply: at most {MAX_DEPTH} objects or arrays may be within each other."


def _containers(values: list[Any]) -> list[Any]:
    return [value for value in values if isinstance(value, dict | list)]


def _each_field_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        seen: set[str] = set()
        twice = next(name for name, _ in pairs if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise UnreadableJSON(f"The JSON has the field {json.dumps(twice[:100])} more than once in one object.")
    return fields


def _refuse_constant(name: str) -> None:
    raise UnreadableJSON(f"The text is not JSON: {name} is not a JSON value.")


def _finite(number: str) -> float:
    value = float(number)
    if math.isinf(value):
        raise UnreadableJSON(f"The JSON has too large a number: {number[:20]}.")
    return value


def _refuse_what_cannot_be_stored(texts: str) -> None:
    try:
        texts.encode()
    except UnicodeEncodeError:
        raise UnreadableJSON("The JSON has half of a surrogate pair in a text.") from None
    if "\0" in texts:
        raise UnreadableJSON("Text cannot contain the NUL character.")


def _texts(data: Any) -> Iterator[str]:
    if isinstance(data, str):
        yield data
    elif isinstance(data, dict):
        yield from data
        for value in data.values():
            yield from _texts(value)
    elif isinstance(data, list):
        for value in data:
            yield from _texts(value)
