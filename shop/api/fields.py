"""Fields of requests. Each takes one JSON type, and bounds its length before anything else."""

import re
from datetime import UTC, datetime
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.fields import empty

from shop.values import SKU_PATTERN, SKU_RULE, is_sku


class Text(serializers.CharField):
    """Text, without spaces around it; numbers are refused."""

    default_error_messages = {"invalid": "It must be a text."}

    def run_validation(self, data: Any = empty) -> Any:
        if data is not empty and data is not None:
            if not isinstance(data, str):
                self.fail("invalid")
            if self.max_length is not None and len(data) > self.max_length:
                self.fail("max_length", max_length=self.max_length)
        return super().run_validation(data)


@extend_schema_field({"type": "string", "pattern": SKU_PATTERN})
class Sku(Text):
    """The name of a product."""

    default_error_messages = {"invalid": f"A SKU has {SKU_RULE}."}

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(trim_whitespace=False, **kwargs)

    def to_internal_value(self, data: Any) -> str:
        if not is_sku(data):  # before a validator would look for the pattern: `$` in Python allows a last newline
            self.fail("invalid")
        return str(data)


class Whole(serializers.IntegerField):
    """An integer; 2.0, true and "2" are refused."""

    default_error_messages = {"invalid": "It must be a whole number."}

    def to_internal_value(self, data: Any) -> int:
        if type(data) is not int:
            self.fail("invalid")
        return int(data)


class Flag(serializers.BooleanField):
    """True or false; "yes" and 1 are refused."""

    default_error_messages = {"invalid": "It must be true or false."}

    def to_internal_value(self, data: Any) -> bool:
        if not isinstance(data, bool):
            self.fail("invalid")
        return bool(data)


_rfc3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)", re.ASCII)

MOMENT_RULE = "It must be a time such as 2026-05-01T08:30:00Z."


def read_moment(text: str) -> datetime:
    """Read a time as RFC 3339 writes it, with an offset, in UTC. :raises ValueError: saying how it is written."""
    try:
        if not _rfc3339.fullmatch(text):
            raise ValueError
        return datetime.fromisoformat(text.upper()).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError(MOMENT_RULE) from None


@extend_schema_field(datetime)
class Moment(serializers.Field[datetime, str, datetime, Any]):
    """A time as RFC 3339 writes it, with an offset; in UTC."""

    default_error_messages = {"invalid": MOMENT_RULE}

    def to_internal_value(self, data: Any) -> datetime:
        try:
            return read_moment(data if isinstance(data, str) else "")
        except ValueError:
            self.fail("invalid")


class Items(serializers.ListField):
    """An array, whose length is checked before its items are."""

    default_error_messages = {"not_a_list": "It must be an array."}

    def to_internal_value(self, data: Any) -> list[Any]:
        if not isinstance(data, list):
            self.fail("not_a_list")
        for bound, wrong in (("max_length", int.__gt__), ("min_length", int.__lt__)):
            limit = getattr(self, bound)
            if limit is not None and wrong(len(data), limit):
                self.fail(bound, **{bound: limit})
        return list(super().to_internal_value(data))


class JSONObject(serializers.DictField):
    """A JSON object, with whatever fields."""

    default_error_messages = {"not_a_dict": "It must be a JSON object."}


def valid_sku(text: str) -> str:
    """Return the SKU of a URL. :raises ValidationError: if it is not a valid one."""
    if not is_sku(text):
        raise ValidationError({"sku": f"{text!r} is not a valid SKU: {SKU_RULE}."})
    return text
