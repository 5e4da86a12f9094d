"""From text nodes to typed values, by the annotations of a msgspec Struct.

Allowed field types: ``str``, ``int``, ``bool``, enums of text, ``Literal`` texts, nested structs,
``list``/``tuple`` of one type, ``dict[str, X]``, ``X | None``, ``Secret[str]`` (given by reference
only), ``Any`` (kept as a node, for a plugin's own schema), types with a ``parse(text)`` of their
own, unions of tagged structs, and ``Annotated`` with msgspec.Meta bounds. There is no float: money
and time are integers.
"""

import re
import types
import typing
from collections.abc import Callable
from enum import Enum
from functools import cache
from typing import Any, Literal, NewType, TypeVar, get_args, get_origin

import msgspec
from msgspec import Meta, Struct
from msgspec.structs import FieldInfo, fields

from switch.model.secret import Secret
from switch.settings.document import Mapping, Node, Place, Scalar, Sequence, SettingsError

S = TypeVar("S", bound=Struct)

_INTEGER = re.compile(r"-?(0|[1-9][0-9]*)")
_INTEGER_DIGITS_MAX = 18
_NEVER_NEGATIVE = ("_ms", "_bytes", "_limit", "_max")
"""Key endings of times, sizes and limits."""

Resolver = Callable[[str], str]
"""Reads a secret by its reference. Raises ValueError with a sentence that does not show it."""


def convert(node: Node, schema: type[S], resolver: Resolver) -> S:
    """The struct that ``node`` describes. Raises SettingsError for the first mistake."""
    return typing.cast(S, _struct(node, schema, resolver))


def _value(node: Node, kind: Any, resolver: Resolver) -> Any:
    origin, arguments = get_origin(kind), get_args(kind)
    if kind is Any:
        return node
    if origin is typing.Annotated:
        value = _value(node, arguments[0], resolver)
        _check_bounds(value, arguments[1:], node.place)
        return value
    if isinstance(kind, NewType):
        return _value(node, kind.__supertype__, resolver)
    if origin in (typing.Union, types.UnionType):
        return _union(node, arguments, resolver)
    if origin in (list, tuple):
        values = (_value(item, arguments[0], resolver) for item in _sequence(node).items)
        return tuple(values) if origin is tuple else list(values)
    if origin is dict:
        items = _mapping(node).items
        return {key: _value(item, arguments[1], resolver) for key, item in items.items()}
    if isinstance(kind, type) and issubclass(kind, Struct) and not hasattr(kind, "parse"):
        return _struct(node, kind, resolver)
    if origin is Secret:
        return _secret(_scalar(node), resolver)
    return _plain(_scalar(node), kind)


def _struct(node: Node, schema: type[Struct], resolver: Resolver) -> Struct:
    mapping = _mapping(node)
    known = struct_fields(schema)
    values = {}
    for key, item in mapping.items.items():
        if key not in known:
            raise item.place.problem(f"unknown key (known: {', '.join(known)})")
        values[known[key].name] = _value(item, known[key].type, resolver)
    for key, field in known.items():
        if field.required and field.name not in values:
            raise _missing(mapping, key)
    try:
        return schema(**values)
    except (ValueError, TypeError) as error:  # its own __post_init__ says what does not fit
        raise mapping.place.problem(str(error)) from None


@cache
def struct_fields(schema: type[Struct]) -> dict[str, FieldInfo]:
    """Key in the file → field, in the order of the struct."""
    return {field.encode_name: field for field in fields(schema)}


def _plain(scalar: Scalar, kind: Any) -> Any:
    text = scalar.text
    if kind is str:
        return text
    if kind is int:
        if not _INTEGER.fullmatch(text) or len(text) > _INTEGER_DIGITS_MAX:
            raise scalar.place.problem("must be an integer without leading zeros, dots or units")
        if text.startswith("-") and scalar.place.path.endswith(_NEVER_NEGATIVE):
            raise scalar.place.problem("must not be negative")
        return int(text)
    if kind is bool:
        if text not in ("true", "false"):
            raise scalar.place.problem("must be true or false")
        return text == "true"
    if get_origin(kind) is Literal or (isinstance(kind, type) and issubclass(kind, Enum)):
        return _choice(scalar, kind)
    if hasattr(kind, "parse"):
        try:
            return kind.parse(text)
        except ValueError as error:
            raise scalar.place.problem(str(error)) from None
    raise TypeError(f"{scalar.place.path}: {kind} is no type for configuration")


def _choice(scalar: Scalar, kind: Any) -> Any:
    if get_origin(kind) is Literal:
        choices = {str(choice): choice for choice in get_args(kind)}
    else:
        choices = {str(member.value): member for member in kind}
    if scalar.text not in choices:
        raise scalar.place.problem(f"must be one of: {', '.join(choices)}")
    return choices[scalar.text]


def _union(node: Node, arguments: tuple[Any, ...], resolver: Resolver) -> Any:
    """``X | None``, or one of several structs told apart by their tag key."""
    inner = [argument for argument in arguments if argument is not type(None)]
    if len(inner) == 1:
        return _value(node, inner[0], resolver)
    by_tag = {str(kind.__struct_config__.tag): kind for kind in inner}
    tag_key = inner[0].__struct_config__.tag_field
    mapping = _mapping(node)
    tag_node = mapping.items.get(tag_key)
    if tag_node is None:
        raise _missing(mapping, tag_key)
    if _scalar(tag_node).text not in by_tag:
        raise tag_node.place.problem(f"must be one of: {', '.join(by_tag)}")
    rest = {key: item for key, item in mapping.items.items() if key != tag_key}
    kind = by_tag[_scalar(tag_node).text]
    return _struct(Mapping(mapping.place, rest), kind, resolver)


def _missing(mapping: Mapping, key: str) -> SettingsError:
    path = f"{mapping.place.path}.{key}" if mapping.place.path else key
    return Place(mapping.place.file, mapping.place.line, path).problem("missing")


def _secret(scalar: Scalar, resolver: Resolver) -> Secret[str]:
    try:
        return Secret(resolver(scalar.text))
    except ValueError as error:
        raise scalar.place.problem(str(error)) from None


def _check_bounds(value: Any, metas: tuple[Any, ...], place: Place) -> None:
    """msgspec.Meta: ge, gt, le, lt on integers, lengths on texts and lists, pattern on texts."""
    for meta in metas:
        if isinstance(meta, Meta):
            try:
                msgspec.convert(value, typing.Annotated[type(value), meta])
            except msgspec.ValidationError as error:
                raise place.problem(str(error)[0].lower() + str(error)[1:]) from None


def _scalar(node: Node) -> Scalar:
    if not isinstance(node, Scalar):
        raise node.place.problem("must be a single value")
    if node.absent:
        raise node.place.problem('has no value (an empty text is written "")')
    return node


def _mapping(node: Node) -> Mapping:
    if not isinstance(node, Mapping):
        raise node.place.problem("must be keys and values")
    return node


def _sequence(node: Node) -> Sequence:
    if not isinstance(node, Sequence):
        raise node.place.problem("must be a list")
    return node
