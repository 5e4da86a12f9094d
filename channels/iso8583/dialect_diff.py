"""What two dialects differ in, path by path. Pure."""

import json
from collections.abc import Iterator
from typing import Any

from msgspec import Struct, to_builtins

from channels.iso8583.dialect import Dialect


class Difference(Struct, frozen=True):
    """One place: what each of the two says there; empty when it says nothing."""

    path: str
    first: str
    second: str


def differences(first: Dialect, second: Dialect) -> list[Difference]:
    """In the order of the file's sections; what only one of them has is one difference."""
    return list(_differences("", _whole(first), _whole(second)))


def _whole(dialect: Dialect) -> Any:
    return to_builtins(
        {name: getattr(dialect, name) for name in Dialect.__struct_fields__},
        order="deterministic",
    )


def _differences(path: str, first: Any, second: Any) -> Iterator[Difference]:
    if first == second:
        return
    if isinstance(first, dict) and isinstance(second, dict):
        for key in {**first, **second}:
            inner = f"{path}.{key}" if path else str(key)
            yield from _differences(inner, first.get(key), second.get(key))
        return
    yield Difference(path, _said(first), _said(second))


def _said(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
