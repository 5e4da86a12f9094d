"""Whatever the log calls an error has a row that says what it means and what to do next."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from itertools import product
from pathlib import Path

import pytest

from tests.docs import pages
from tests.docs.test_doc_alarms import ID, modules

DOCS = pages.ROOT / "docs"
PAGES_OF = {
    "hsm": ("hsm",),
    "terminal_agent": ("kiosk-install",),
    "switch": ("operators-first-day", "link-runbook", "inbound", "settlement"),
}
"""Folder → the pages of whoever reads its log; folders that are not named: as ``switch``."""
HOLE = "…"
"""What stands in a page for the part of a text that differs from line to line."""

Function = ast.FunctionDef | ast.AsyncFunctionDef


@cache
def tree(path: Path) -> ast.Module:
    """A module, read once."""
    return ast.parse(path.read_text(encoding="utf-8"))


def rows(page: str, heading: str = "") -> list[list[str]]:
    """The cells of all rows of the page's tables, or of those below one heading."""
    text = pages.text(DOCS / f"{page}.md")
    if heading:
        text = re.split(r"^#+ ", text.split(f"# {heading}\n")[1], flags=re.MULTILINE)[0]
    lines = re.findall(r"^\|.*\|$", text, re.MULTILINE)
    return [re.split(r"(?<!\\)\|", line)[1:-1] for line in lines]


def explained(names: tuple[str, ...]) -> set[str]:
    """Events that have a row there, with a meaning; `wrong_mac again and again` counts."""
    return {
        quoted.split()[0]
        for page in names
        for first, *others in rows(page)
        if any(cell.strip() for cell in others)
        for quoted in re.findall(r"`([^`]+)`", first)
    }


def error_calls(path: Path) -> Iterator[ast.Call]:
    """The calls that write a line of level error."""
    for node in ast.walk(tree(path)):
        match node:
            case ast.Call(func=ast.Attribute(value=logger, attr="error" | "exception")):
                if re.search(r"\blog$|_log$|^get_logger\(", ast.unparse(logger)):
                    yield node


def folder(path: Path) -> str:
    """Of the product."""
    name = path.relative_to(pages.ROOT).parts[0]
    return name if name in PAGES_OF else "switch"


def test_events_of_errors_are_literals() -> None:
    """Their number is that of the source: they are a label of ``yyt_alarms_total`` (I11)."""
    calls = [(path, call) for path in modules() for call in error_calls(path)]

    assert len(calls) > 80
    for path, call in calls:
        assert isinstance(call.args[0], ast.Constant), f"{path}:{call.lineno}"
        assert re.fullmatch(r"[a-z][a-z0-9_]{1,39}", str(call.args[0].value)), call.lineno


@pytest.mark.parametrize("part", PAGES_OF)
def test_every_error_has_its_row(part: str) -> None:
    """In a page of whoever reads that log."""
    logged = {
        call.args[0].value
        for path in modules()
        if folder(path) == part
        for call in error_calls(path)
        if isinstance(call.args[0], ast.Constant)
    }
    assert logged - explained(PAGES_OF[part]) == set()


# ---- alarms, by their text -----------------------------------------------------------------------


def values(node: ast.expr | None, names: dict[str, list[ast.expr]]) -> list[str]:
    """What a text may be, with a hole for what is not known here; empty: it is made elsewhere."""
    match node:
        case ast.Constant(value=str(text)):
            return [text]
        case ast.IfExp():
            return values(node.body, names) + values(node.orelse, names)
        case ast.Name():
            return [text for value in names.get(node.id, []) for text in values(value, names)]
        case ast.JoinedStr():
            parts = [
                values(part.value if isinstance(part, ast.FormattedValue) else part, names)
                for part in node.values
            ]
            found = ["".join(parts) for parts in product(*(part or [HOLE] for part in parts))]
            return [text for text in found if re.search("[a-z]", text)]
    return []


def alarms_in(function: Function) -> Iterator[tuple[str, str]]:
    """(invariant, text) of what it alarms; the invariant is empty where it names none."""
    names: dict[str, list[ast.expr]] = {}
    for node in ast.walk(function):
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            names.setdefault(node.targets[0].id, []).append(node.value)
    for node in ast.walk(function):
        match node:
            case ast.Call(func=ast.Name(id="alarm"), args=[ast.Constant(value=cited), text, _]):
                yield from ((str(cited), one) for one in values(text, names))
            case ast.Call(func=ast.Name(id="stick"), args=[_, _, text]):
                yield from (("I15", f"{HOLE}: {one}") for one in values(text, names))
            case ast.Call(func=ast.Name(id="_alarm"), args=[_, text, *_]):
                yield from (("", one) for one in values(text, names))
            case ast.Call(func=ast.Attribute(), args=[ast.Constant(value="alarm")]):
                words = {word.arg: word.value for word in node.keywords}
                cited = (values(words.get("invariant"), names) or [""])[0]
                yield from ((cited, one) for one in values(words.get("text"), names))


def all_alarms() -> set[tuple[str, str]]:
    """Of the switch."""
    return {
        found
        for path in modules()
        for node in ast.walk(tree(path))
        if isinstance(node, Function)
        for found in alarms_in(node)
    }


def alarm_rows() -> dict[str, list[str]]:
    """Text → the cells of its row."""
    by_text = rows("operators-first-day", "Alarm lines by their text")
    settling = rows("settlement", "When something is wrong")
    cells = [*by_text, *([first, "", *others] for first, *others in settling)]
    return {text: row for row in cells for text in re.findall(r"`([^`]+)`", row[0])}


def test_every_alarm_s_text_has_its_row() -> None:
    """With the invariant that the line cites, and a next step: an I5 of money that moves and one
    of a wish that is refused want opposite things."""
    known, alarms = alarm_rows(), all_alarms()

    assert len(alarms) > 30
    for cited, text in alarms:
        assert text in known, text
        assert known[text][-1].strip(), text
        if cited and known[text][1]:
            assert cited in ID.findall(known[text][1]), text


def test_every_row_is_an_alarm_that_exists() -> None:
    """A row of a text that was changed is looked for in vain at night."""
    texts = {text for _, text in all_alarms()} | {"text"}
    by_text = rows("operators-first-day", "Alarm lines by their text")
    written = {text for row in by_text for text in re.findall(r"`([^`]+)`", row[0])}

    assert written - texts == set()
