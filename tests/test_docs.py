"""The docs say what is so: links, names in the code, settings, commands."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest
from django.core.management import get_commands
from django.urls import Resolver404, resolve

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
DECISIONS = sorted((ROOT / "docs" / "adr").glob("[0-9]*.md"))
SETTINGS = ROOT / "docs" / "settings.md"
LIMITS = ROOT / "docs" / "limits.md"

FENCED = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)")
IN_CODE = re.compile(r"`([\w./-]+\.py):([A-Za-z_][\w.]*)`")
HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)
FUTURE = re.compile(r"^## Not there yet$.*?(?=^## |\Z)", re.MULTILINE | re.DOTALL)

each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
each_decision = pytest.mark.parametrize("page", DECISIONS, ids=lambda page: page.stem)


def code_of(text: str) -> str:
    """What a page prints as code: fenced blocks and what is between backticks."""
    spans = re.findall(r"`([^`\n]+)`", FENCED.sub("", text))
    return "\n".join([*FENCED.findall(text), *spans])


def anchors(page: Path) -> set[str]:
    """The anchors that a forge makes of a page's headings."""
    headings = HEADING.findall(FENCED.sub("", page.read_text(encoding="utf-8")))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


@cache
def names_in(file: Path) -> set[str]:
    """Functions, classes and variables of a module, members of classes as ``Class.member``."""
    found: set[str] = set()

    def look(nodes: list[ast.stmt], prefix: str) -> None:
        for node in nodes:
            match node:
                case ast.ClassDef(name=name, body=body):
                    found.add(prefix + name)
                    look(body, f"{prefix}{name}.")
                case ast.FunctionDef(name=name):
                    found.add(prefix + name)
                case ast.Assign(targets=targets):
                    found.update(
                        prefix + each.id
                        for target in targets
                        for each in ast.walk(target)
                        if isinstance(each, ast.Name)
                    )
                case ast.AnnAssign(target=ast.Name(id=name)):
                    found.add(prefix + name)

    look(ast.parse(file.read_text(encoding="utf-8")).body, "")
    return found


def table_rows(text: str, header: str) -> list[list[str]]:
    """The cells of each row of the first table whose header begins with that cell."""
    lines = iter(text.splitlines())
    assert any(line.startswith(f"| {header} |") for line in lines), f"there is no table of {header}"
    next(lines)
    rows = []
    for line in lines:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip().strip("|").split("|")])
    return rows


@each_page
def test_every_relative_link_leads_to_a_file_and_a_heading_that_exist(page: Path) -> None:
    for target in LINK.findall(FENCED.sub("", page.read_text(encoding="utf-8"))):
        if target.startswith(("http://", "https://")):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), f"{page.name} links to {target}"
        assert file.is_relative_to(ROOT), f"{page.name} links to {target}"
        assert not anchor or anchor in anchors(file), f"{page.name} links to {target}: no such heading"


@each_page
def test_every_function_that_is_named_with_its_file_is_there(page: Path) -> None:
    for path, name in IN_CODE.findall(page.read_text(encoding="utf-8")):
        assert (ROOT / path).is_file(), f"{page.name} names {path}"
        assert name in names_in(ROOT / path), f"{page.name} names {path}:{name}"


@each_page
def test_every_command_that_is_named_can_be_run(page: Path) -> None:
    code = code_of(FUTURE.sub("", page.read_text(encoding="utf-8")))
    commands = set(re.findall(r"manage\.py (\w+)", code))
    assert commands <= get_commands().keys()
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert set(re.findall(r"(?:^|\s)make ([a-z]+)", code)) <= targets


@each_page
def test_every_address_of_the_api_that_is_named_is_served(page: Path) -> None:
    text = FUTURE.sub("", page.read_text(encoding="utf-8"))
    for address in re.findall(r"(?<!\w)/api/[\w/${}-]*", code_of(text)):
        example = re.sub(r"\$\w+|\{\w+\}", "00000000-0000-0000-0000-000000000000", address)
        try:
            resolve(example)
        except Resolver404:
            pytest.fail(f"{page.name} names {address}")


def test_what_is_said_not_to_be_there_yet_is_not_there() -> None:
    section = FUTURE.search(LIMITS.read_text(encoding="utf-8"))
    assert section
    commands = set(re.findall(r"manage\.py (\w+)", section[0]))
    assert commands, "the section names the commands that are to come"
    assert not commands & get_commands().keys()
    for address in re.findall(r"`(/[\w/{}-]*)`", section[0]):
        with pytest.raises(Resolver404):
            resolve(re.sub(r"\{\w+\}", "00000000-0000-0000-0000-000000000000", address))


def settings_read() -> dict[str, object]:
    """Each variable that shop/settings.py reads from the environment, and its default."""
    found: dict[str, object] = {}
    for node in ast.walk(ast.parse((ROOT / "shop" / "settings.py").read_text(encoding="utf-8"))):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
            continue
        if (
            not (isinstance(node.func.value, ast.Name) and node.func.value.id == "env")
            or node.func.attr == "parser_for"
        ):
            continue
        name, *rest = node.args
        if isinstance(name, ast.Constant):
            assert isinstance(name.value, str)
            found[name.value] = ast.literal_eval(rest[0]) if rest else None
        else:  # one for each context
            found["CONTEXT_DATABASE_URL"] = ""
    return found


def shown(default: object) -> str:
    """A default as the table is to have it."""
    if default in ("", None, []):
        return "none"
    text = ",".join(default) if isinstance(default, list) else str(default)
    return f"`{text}`"


def test_every_setting_is_in_the_table_with_its_default() -> None:
    documented = {
        name: default
        for names, _, default, _ in table_rows(SETTINGS.read_text(encoding="utf-8"), "name")
        for name in re.findall(r"`(\w+)`", names)
    }
    assert documented == {name: shown(default) for name, default in settings_read().items()}


def test_every_term_of_the_glossary_is_in_both_languages_and_in_the_code() -> None:
    rows = table_rows((ROOT / "docs" / "glossary.md").read_text(encoding="utf-8"), "English")
    assert len(rows) > 30
    for english, chinese, code, meaning in rows:
        assert english, f"{chinese} has no English"
        assert meaning, f"{english} says nothing"
        assert re.search(r"[\u4e00-\u9fff]", chinese), f"{english} has no Chinese"
        assert IN_CODE.search(code), f"{english} is not in the code"  # that it exists is tested for every page


@each_decision
def test_a_decision_fits_on_a_page_and_has_its_four_parts(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 30
    parts = re.findall(r"^\*\*(\w+)\.\*\*", text, re.MULTILINE)
    assert parts == ["Context", "Options", "Decision", "Consequences"]


def test_every_decision_is_in_the_list_of_decisions() -> None:
    listed = LINK.findall((ROOT / "docs" / "adr" / "README.md").read_text(encoding="utf-8"))
    assert [page.name for page in DECISIONS] == [target for target in listed if target[0].isdigit()]
    assert DECISIONS


def test_the_documented_web_server_is_the_one_that_runs() -> None:
    from shop.local.stack.running import WEB_SERVER

    assert f"\n{WEB_SERVER}\n" in (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
