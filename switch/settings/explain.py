"""The configuration reference, written from the schemas themselves (docs/configuration.md)."""

import ast
import inspect
import textwrap
import types
import typing
from collections.abc import Iterator
from enum import Enum
from itertools import pairwise
from typing import Any, Literal, NewType, get_args, get_origin

from msgspec import NODEFAULT, Meta, Struct

from switch.model.secret import Secret
from switch.plugins import Group, find, names
from switch.settings.convert import struct_fields
from switch.settings.schema import Settings

_UNIONS = (typing.Union, types.UnionType)

_TITLE = """\
# Configuration reference

Written by `yyt conf schema`; do not edit. A file is checked with `yyt conf check FILE`.

All values are read as text and converted by this schema: `23:00`, `01234567` and `no` stay what
they say. Integers have no leading zeros, no dots and no units; the unit is the last word of the
key (`_ms` milliseconds, `_fen` 分). Secrets are given by reference only: `file:/path` or
`env:NAME`. Keys without a default must be given; unknown and duplicate keys are mistakes.

`conf check` refuses what could never start (two listeners on one port; `0.0.0.0` and `::` are
every host) and what could never take a payment: a hospital that is not there, a business or an
operation of a front without a route for its medium, a `clearing` that no terminal of the routed
bank has.

It also tries to read the secrets and the TLS files that are named. One that cannot be
read is a note (`注意`), no mistake: often only the switch's own user may read it. Check as that
user. What the key store and the HSM hold is not asked: of a key only the form is checked.
"""


def markdown() -> str:
    """The whole reference: the file's own sections, then every installed plugin's settings."""
    parts = [_TITLE, "## The file `switch.yaml`\n", *_table(Settings, "")]
    for group in Group:
        for name in names(group):
            schema = find(group, name).config_schema
            parts += [f"\n## Plugin `{name}` ({group}): `settings`\n", _first_line(schema), ""]
            parts += _table(schema, "")
    return "\n".join(parts).rstrip() + "\n"


def _table(schema: type[Struct], prefix: str) -> list[str]:
    head = ["| key | type | default | meaning |", "|---|---|---|---|"]
    return [*head, *(f"| {' | '.join(row)} |" for row in _rows(schema, prefix))]


def _rows(schema: type[Struct], prefix: str, only: str = "") -> Iterator[tuple[str, ...]]:
    """Key, type, default, meaning; ``only`` names the tag under which these keys exist."""
    documented = _field_docs(schema)
    for key, field in struct_fields(schema).items():
        nested, suffix = _nested(field.type)
        text = documented.get(field.name, "") or (_first_line(nested[0]) if nested[:1] else "")
        text = f"{only}: {text}" if only else text
        path = f"{prefix}{key}{suffix}"
        yield f"`{path}`", _type_text(field.type), _default(field), _cell(text)
        if len(nested) == 1:
            yield from _rows(nested[0], f"{path}.")
        elif nested:
            tag_key = nested[0].__struct_config__.tag_field
            tags = [f"`{kind.__struct_config__.tag}`" for kind in nested]
            yield f"`{path}.{tag_key}`", ", ".join(tags), "**required**", ""
            for kind, tag in zip(nested, tags, strict=True):
                yield from _rows(kind, f"{path}.", tag)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("``", "`")


def _default(field: Any) -> str:
    if field.required:
        return "**required**"
    value = field.default if field.default is not NODEFAULT else field.default_factory()
    if value is None or value in ("", (), [], {}):
        return "none"
    if isinstance(value, Enum):
        value = value.value
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def _bare(kind: Any) -> Any:
    """The type without Annotated, NewType and ``| None``; a union of structs stays one."""
    while True:
        if get_origin(kind) is typing.Annotated:
            kind = get_args(kind)[0]
        elif isinstance(kind, NewType):
            kind = kind.__supertype__
        elif get_origin(kind) in _UNIONS:
            parts = [part for part in get_args(kind) if part is not type(None)]
            if len(parts) > 1:
                return kind
            kind = parts[0]
        else:
            return kind


def _nested(kind: Any) -> tuple[tuple[type[Struct], ...], str]:
    """The structs inside a field's type (several are told apart by a tag), and how their place is
    written: ``[]``, ``.*`` or nothing."""
    kind, suffix = _bare(kind), ""
    while get_origin(kind) in (list, tuple, dict):
        is_dict = get_origin(kind) is dict
        suffix += ".*" if is_dict else "[]"
        kind = _bare(get_args(kind)[1 if is_dict else 0])
    if get_origin(kind) in _UNIONS:
        return get_args(kind), suffix
    return ((kind,) if _is_section(kind) else ()), suffix


def _is_section(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, Struct) and not hasattr(kind, "parse")


def _type_text(kind: Any) -> str:
    bare = _bare(kind)
    origin, arguments = get_origin(bare), get_args(bare)
    if bare is Any:
        return "the plugin's own"
    if origin is Secret:
        return "secret by reference"
    if origin in (list, tuple):
        return f"list of {_type_text(arguments[0])}".replace("of section", "of sections")
    if origin is dict:
        return f"name → {_type_text(arguments[1])}"
    if origin is Literal:
        return ", ".join(f"`{choice}`" for choice in arguments)
    if isinstance(bare, type) and issubclass(bare, Enum):
        return ", ".join(f"`{member.value}`" for member in bare)
    if origin in _UNIONS or _is_section(bare):
        return "section"
    name = {str: "text", int: "integer", bool: "`true`, `false`"}.get(bare, bare.__name__)
    return f"{name}{_bounds(kind)}"


def _bounds(kind: Any) -> str:
    metas = [meta for meta in getattr(kind, "__metadata__", ()) if isinstance(meta, Meta)]
    for meta in metas:
        if meta.ge is not None and meta.le is not None:
            return f" {meta.ge} … {meta.le}"
        if meta.ge is not None:
            return f" ≥ {meta.ge}"
    return ""


def _first_line(schema: type) -> str:
    own = schema.__dict__.get("__doc__") or ""
    return " ".join(inspect.cleandoc(own).split("\n\n")[0].split())


def _field_docs(schema: type[Struct]) -> dict[str, str]:
    """Field → the text below it in the source, as this house documents fields."""
    found: dict[str, str] = {}
    for owner in reversed(schema.__mro__):
        if owner is Struct or not (isinstance(owner, type) and issubclass(owner, Struct)):
            continue
        tree = ast.parse(textwrap.dedent(inspect.getsource(owner)))
        body = typing.cast(ast.ClassDef, tree.body[0]).body
        for field, below in pairwise(body):
            if (
                isinstance(field, ast.AnnAssign)
                and isinstance(field.target, ast.Name)
                and isinstance(below, ast.Expr)
                and isinstance(below.value, ast.Constant)
            ):
                found[field.target.id] = " ".join(str(below.value.value).split())
    return found
