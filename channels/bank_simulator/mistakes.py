"""Mistakes in what people write for the simulator: where, which rule, and what would be right."""

import re
from typing import Any

import msgspec
from msgspec import inspect

_TOLD = re.compile(r"(?P<rule>.*?)(?: - at `\$(?P<place>.*)`)?", re.DOTALL)
_PART = re.compile(r"\.(\w+)|\[(\d+)\]")


def mistake(error: msgspec.ValidationError, kind: type) -> str:
    """Place, rule, and the names or values that ``kind`` takes there; list items count from one.

    >>> from channels.bank_simulator.habits import Order
    >>> try:
    ...     msgspec.convert({"next": [{"habit": "lose", "on": "sael"}]}, Order)
    ... except msgspec.ValidationError as error:
    ...     mistake(error, Order).split(",")[0]
    "next 1: on: Invalid enum value 'sael'; one of any"
    """
    told = _TOLD.fullmatch(str(error))
    assert told is not None
    place: list[str] = []
    node: Any = inspect.type_info(kind)
    for name, index in _PART.findall(told["place"] or ""):
        if index:
            place[-1:] = [f"{place[-1] if place else 'item'} {int(index) + 1}"]
        else:
            place.append(name)
        node = _inside(_plain(node), name)
    text = ": ".join([*place, told["rule"]])
    known = _known(_plain(node), told["rule"])
    return f"{text}; one of {', '.join(known)}" if known else text


def _plain(node: Any) -> Any:
    """Without the None that may stand there instead."""
    if not isinstance(node, inspect.UnionType):
        return node
    return next(one for one in node.types if not isinstance(one, inspect.NoneType))


def _inside(node: Any, name: str) -> Any:
    if isinstance(node, inspect.StructType):
        return next((one.type for one in node.fields if one.encode_name == name), None)
    return getattr(node, "item_type", None)


def _known(node: Any, rule: str) -> list[str]:
    if isinstance(node, inspect.StructType) and "unknown field" in rule:
        return sorted(one.encode_name for one in node.fields)
    if isinstance(node, inspect.EnumType):
        return sorted(str(one.value) for one in node.cls)
    if isinstance(node, inspect.LiteralType):
        return sorted(str(one) for one in node.values)
    return []
