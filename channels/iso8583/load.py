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
from channels.iso8583.sentences import sentence


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


def configured_dialect(name: str) -> Dialect:
    """As :func:`load_dialect`, for a name in a configuration: a file has its whole path there.

    A service is started in whatever folder its supervisor chose. Raises DialectError.
    """
    if _is_path(name) and not Path(name).is_absolute():
        raise DialectError(sentence("relative", name, Path(name).name))
    return load_dialect(name)


def said_of_terminals(name: str) -> frozenset[str]:
    """Which of a terminal's own ``operator`` and ``serial`` a dialect's messages have a place for.

    Raises DialectError."""
    raw = _raw(read_source(name))
    written = str([raw.get(section) for section in _SECTIONS_WITH_TEMPLATES])
    places = {"operator": "{operator}"}
    if raw.get("terminal_block"):
        places["serial"] = "{terminal_block"  # it may have a shape
    return frozenset(value for value, place in places.items() if place in written)


def read_source(name: str) -> str:
    """The text of a dialect file, see :func:`load_dialect`. Raises DialectError."""
    path = files(__package__) / "dialects" / f"{name}.yaml"
    try:
        return (Path(name) if _is_path(name) else path).read_text(encoding="utf-8")
    except FileNotFoundError:
        missing = "no_file" if _is_path(name) else "no_dialect"
        raise DialectError(sentence(missing, name, ", ".join(BUILT_IN))) from None
    except OSError as error:
        raise DialectError(sentence("unreadable", name, str(error.strerror))) from None
    except UnicodeDecodeError:
        raise DialectError(sentence("unreadable", name, "UTF-8")) from None


def _is_path(name: str) -> bool:
    return "/" in name or name.endswith(".yaml")


_SECTIONS_WITH_TEMPLATES = frozenset(
    ["network", "operations", "reversal", "script_notice", "settlement"]
)


def parse_dialect(text: str, origin: str, operator: str = "") -> Dialect:
    """A dialect from YAML text; ``origin`` names it in errors. Raises DialectError."""
    try:
        raw = _raw(text)
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


def _raw(text: str) -> dict[str, Any]:
    """The file as written, every scalar a text. Raises DialectError, yaml.YAMLError."""
    raw = yaml.load(text, Loader=_Loader)  # noqa: S506 - BaseLoader makes strings only
    if not isinstance(raw, dict):
        raise DialectError("must be keys and values")
    return raw


def _with_constants(raw: Any, constants: Mapping[str, str]) -> Any:
    """The file with the dialect's constants in the place of their names."""
    if isinstance(raw, dict):
        return {key: _with_constants(value, constants) for key, value in raw.items()}
    if isinstance(raw, str):
        for name, value in constants.items():
            raw = raw.replace("{" + name + "}", value)
    return raw
