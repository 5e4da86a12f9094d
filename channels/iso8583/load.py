"""Read a dialect file: YAML as plain strings, then the schema, then what the schema cannot say.

Every scalar is text in YAML (``23:00``, ``0200`` and ``no`` stay what they say), duplicate keys
are refused, and every name a template or a layout uses must exist.
"""

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import msgspec
import yaml

from channels.iso8583.check import problems
from channels.iso8583.dialect import Dialect
from channels.iso8583.errors import DialectError


class _Loader(yaml.BaseLoader):
    """All scalars are strings; a key that comes twice is an error."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if key.value in seen:
                raise DialectError(f"line {key.start_mark.line + 1}: {key.value} stands twice")
            seen.add(key.value)
        return super().construct_mapping(node, deep)


BUILT_IN = ("cup-pos", "gz-ascii", "zj-bcd", "cups-host")
"""Dialects that come with the program."""


@cache
def load_dialect(name: str, operator: str = "") -> Dialect:
    """A built-in dialect by name (``cup-pos``), or a file by path (anything with a ``/`` or that
    ends with ``.yaml``). ``operator``: a terminal's own operator number (63.1), in the place of the
    file's.

    Raises DialectError with file and path inside it.
    """
    return parse_dialect(read_source(name), name, operator)


def read_source(name: str) -> str:
    """The text of a dialect file, see :func:`load_dialect`. Raises DialectError."""
    try:
        if "/" in name or name.endswith(".yaml"):
            return Path(name).read_text(encoding="utf-8")
        return (files(__package__) / "dialects" / f"{name}.yaml").read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DialectError(f"dialect {name}: {type(error).__name__}") from error


_SECTIONS_WITH_TEMPLATES = frozenset(
    ["network", "operations", "reversal", "script_notice", "settlement"]
)


def parse_dialect(text: str, origin: str, operator: str = "") -> Dialect:
    """A dialect from YAML text; ``origin`` names it in errors. Raises DialectError."""
    try:
        raw = yaml.load(text, Loader=_Loader)  # noqa: S506 - BaseLoader makes strings only
        if operator:
            raw["constants"] = {**raw.get("constants", {}), "operator": operator}
        for section in _SECTIONS_WITH_TEMPLATES & raw.keys():
            raw[section] = _with_constants(raw[section], raw.get("constants", {}))
        dialect = msgspec.convert(raw, Dialect, strict=False)
    except DialectError as error:
        raise DialectError(f"{origin}: {error}") from None
    except (yaml.YAMLError, msgspec.ValidationError) as error:
        raise DialectError(f"{origin}: {error}") from error
    for path, problem in problems(dialect):
        raise DialectError(f"{origin}: {path}: {problem}")
    return dialect


def _with_constants(raw: Any, constants: Mapping[str, str]) -> Any:
    """The file with the dialect's constants in the place of their names."""
    if isinstance(raw, dict):
        return {key: _with_constants(value, constants) for key, value in raw.items()}
    if isinstance(raw, str):
        for name, value in constants.items():
            raw = raw.replace("{" + name + "}", value)
    return raw
