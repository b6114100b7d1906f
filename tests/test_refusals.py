"""Every refusal that the code knows is in docs/refusals.md, with the way out; and nothing else is."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from rest_framework import exceptions

from orders.events import Reason
from shop.errors import DomainError

ROOT = Path(__file__).resolve().parent.parent
SECTIONS = re.split(r"^## ", (ROOT / "docs" / "refusals.md").read_text(encoding="utf-8"), flags=re.MULTILINE)
PACKAGES = ("shop", "orders", "inventory", "readmodel")

OF_A_VALUE = {"invalid", "min_value", "max_value", "zero", "unknown_field"}
"""Codes of single fields within ``errors``, whose detail says what to send."""

NEVER_RAISED = {"refused"}
"""The code of the base class."""


def documented(section: str) -> dict[str, list[str]]:
    """The rows of a section, by code."""
    (text,) = [text for text in SECTIONS if text.startswith(section)]
    rows = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in text.splitlines() if line[:3] == "| `"]
    return {row[0].strip("` |"): row for row in rows}


def below(kind: type) -> Iterator[type]:
    """The classes of the shop's own that derive from a class."""
    for derived in kind.__subclasses__():
        if derived.__module__.partition(".")[0] in PACKAGES:
            yield derived
        yield from below(derived)


def codes_in_dicts() -> set[str]:
    """The codes of lines and fields: ``{"code": "sold_out", …}`` in the source."""
    codes = set()
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Dict):
                    codes |= {
                        value.value
                        for key, value in zip(node.keys, node.values, strict=True)
                        if isinstance(key, ast.Constant) and key.value == "code" and isinstance(value, ast.Constant)
                    }
    return codes


def test_every_refusal_of_the_domain_has_its_line() -> None:
    codes = {kind.code for kind in below(DomainError)} - NEVER_RAISED  # type: ignore[attr-defined]
    assert codes <= documented("Requests").keys() | documented("Commands").keys()
    assert documented("Commands").keys() <= codes


def test_every_refusal_of_a_line_has_its_line() -> None:
    assert codes_in_dicts() - OF_A_VALUE == documented("Lines").keys()


def test_every_reason_of_a_cancellation_has_its_line() -> None:
    tags = {kind.__struct_config__.tag for kind in below(Reason) if kind.__struct_config__.tag}  # type: ignore[attr-defined]
    assert {tag for tag in tags if tag in documented("Cancellations") or not tag[0].isupper()} == documented(
        "Cancellations"
    ).keys()


def test_every_refusal_of_the_framework_has_its_line() -> None:
    raised = {
        exceptions.ParseError,
        exceptions.NotAuthenticated,
        exceptions.AuthenticationFailed,
        exceptions.PermissionDenied,
        exceptions.NotFound,
        exceptions.MethodNotAllowed,
        exceptions.NotAcceptable,
        exceptions.UnsupportedMediaType,
        exceptions.Throttled,
        exceptions.ValidationError,
        exceptions.APIException,
    }
    assert {kind.default_code for kind in raised} <= documented("Requests").keys()


@pytest.mark.parametrize("section", ["Requests", "Commands", "Lines", "Cancellations"])
def test_every_refusal_names_the_way_out(section: str) -> None:
    for code, row in documented(section).items():
        assert all(row), code
        assert len(row[-1]) > 5, f"{code} has no way out"
