"""The contracts of `make check` hold every context: a new one cannot be forgotten in pyproject.toml."""

import tomllib
from pathlib import Path
from typing import Any

import pytest

from shop.contexts import APPS

ROOT = Path(__file__).resolve().parent.parent
TOOLS: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]
CONTRACTS = {contract["name"].partition(":")[0]: contract for contract in TOOLS["importlinter"]["contracts"]}
CONTEXTS = {app for app in APPS if not app.startswith("tests.")}


def test_every_context_is_on_the_layer_of_the_contexts() -> None:
    (layer,) = [layer for layer in CONTRACTS["The shop in layers"]["layers"] if "orders" in layer]
    assert set(layer.split(" : ")) == CONTEXTS


def test_no_context_may_import_another() -> None:
    assert set(CONTRACTS["Contexts share nothing but events"]["modules"]) == CONTEXTS


def test_every_context_has_the_layers_of_a_context() -> None:
    assert set(CONTRACTS["Each context in layers"]["containers"]) == CONTEXTS


@pytest.mark.parametrize(
    "named", [TOOLS["importlinter"]["root_packages"], TOOLS["mypy"]["files"]], ids=["import-linter", "mypy"]
)
def test_the_tools_look_at_every_context(named: list[str]) -> None:
    assert {app.partition(".")[0] for app in CONTEXTS} <= set(named)
