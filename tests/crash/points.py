"""The crash points that the source names, found by reading it."""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("switch", "channels", "his_bridge", "hsm", "terminal_agent")


def named_points() -> list[str]:
    """Every name that a crash point has, sorted."""
    return sorted({name for path in _modules() for name in points_of(path.read_text("utf-8"))})


def points_of(source: str) -> Iterator[str]:
    """The names in one module. A name that is no literal cannot be armed, so it is an error.

    >>> list(points_of('crash_point("K1")'))
    ['K1']
    """
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and _is_crash_point(node.func):
            (name,) = node.args
            assert isinstance(name, ast.Constant), ast.unparse(node)
            assert isinstance(name.value, str), ast.unparse(node)
            yield name.value


def _is_crash_point(called: ast.expr) -> bool:
    return getattr(called, "id", getattr(called, "attr", "")) == "crash_point"


def _modules() -> Iterator[Path]:
    for package in PACKAGES:
        yield from (ROOT / package).rglob("*.py")
