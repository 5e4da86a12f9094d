"""docs/security.md: every row of the norms checklist, and every test it names."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from tests.docs import pages

PAGE = pages.ROOT / "docs" / "security.md"
ROWS = 30
NAMED = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")


def rows() -> list[list[str]]:
    """Cells of the checklist's rows."""
    table = pages.text(PAGE).split("<!-- norms -->\n")[1].split("<!-- end -->")[0]
    lines = table.splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


@cache
def names_in(path: Path) -> frozenset[str]:
    """Names of a file's tests."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))


def test_there_are_thirty_rows_in_order() -> None:
    """Each with rule, norm, how it is kept, and at least one test."""
    assert [row[0] for row in rows()] == [str(number) for number in range(1, ROWS + 1)]
    for row in rows():
        assert len(row) == 5
        assert all(row)
        assert NAMED.search(row[4]), f"row {row[0]} names no test"
        assert NAMED.sub("", row[4]).strip() == "", f"row {row[0]}: {row[4]}"


@pytest.mark.parametrize(("file", "name"), sorted(set(NAMED.findall(pages.text(PAGE)))))
def test_every_named_test_exists(file: str, name: str) -> None:
    """In that file, by that name."""
    assert name in names_in(pages.ROOT / file)


def test_it_says_what_software_is_not() -> None:
    """In a heading and before any table."""
    text = pages.text(PAGE)
    assert "## Software is not a secure cryptographic device" in text
    assert text.index("root on that machine has the keys") < text.index("|---|")
