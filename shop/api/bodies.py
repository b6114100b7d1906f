"""Request bodies: JSON that can be stored, and fields that are checked."""

import json
import math
import re
from collections.abc import Iterator, Mapping
from typing import IO, Any

from rest_framework import exceptions, parsers, serializers
from rest_framework.exceptions import ValidationError

from shop.values import SKU_RULE, is_sku


class JSONParser(parsers.JSONParser):
    """Parses JSON that can be stored: bounded nesting, finite numbers, no NUL, no lone surrogates."""

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        body = stream.read()
        try:
            data = json.loads(body.decode(), parse_constant=_refuse_constant, parse_float=_finite)
            texts = "".join(_texts(data)) if b"\\u" in body else ""
            texts.encode()
        except RecursionError:
            raise exceptions.ParseError("The JSON is nested too deeply.") from None
        except ValueError as error:  # not UTF-8, not JSON, or a lone surrogate
            raise exceptions.ParseError(f"The body is not JSON: {error}") from None
        if "\0" in texts:
            raise exceptions.ParseError("Text cannot contain the NUL character.")
        return data


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON value")


def _finite(number: str) -> float:
    value = float(number)
    if math.isinf(value):
        raise ValueError(f"{number[:20]} is too large a number")
    return value


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


class Body(serializers.Serializer[Any]):
    """A request's body. Unknown fields are refused by name: a misspelt one must not pass silently."""

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, Mapping):
            known = [name for name, field in self.fields.items() if not field.read_only]
            unknown = [str(name) for name in data if name not in known]
            if unknown:
                rule = f"Not a field of this request, which has: {', '.join(known) or 'none'}."
                raise ValidationError({name: [rule] for name in unknown}, code="unknown_field")
        return super().to_internal_value(data)


_whole = re.compile(r"-?[0-9]{1,30}")


class Whole(serializers.IntegerField):
    """An integer, also as text (``"2"``); 2.0 and true are refused."""

    def to_internal_value(self, data: Any) -> int:
        if isinstance(data, bool) or not _whole.fullmatch(str(data)):
            self.fail("invalid")
        return super().to_internal_value(data)


def valid_sku(text: str) -> str:
    """Return the SKU of a URL. :raises ValidationError: if it is not a valid one."""
    if not is_sku(text):
        raise ValidationError({"sku": f"{text!r} is not a valid SKU: {SKU_RULE}."})
    return text
