"""TLV in words. Card number, tracks and the holder's name are masked unless asked for (I12)."""

from msgspec import Struct

from terminal_agent.emv.meanings import meaning, name_of
from terminal_agent.emv.reading import mask
from terminal_agent.emv.tags import TAGS
from terminal_agent.emv.tlv import Tlv, parse


class Explained(Struct, frozen=True):
    """One data object. ``value`` in hex, ``*`` where it is masked; empty for a template."""

    tag: str
    name: str
    length: int
    value: str
    meaning: list[str]
    children: "list[Explained]"


def explain(data: bytes, column: int, unmasked: bool) -> list[Explained]:
    """Every data object of ``data``; ``column`` 0 Chinese, 1 English. Raises TlvError."""
    return [_one(item, column, unmasked) for item in parse(data)]


def _one(item: Tlv, column: int, unmasked: bool) -> Explained:
    secret = item.tag in TAGS and TAGS[item.tag].secret and not unmasked
    digits = item.value.hex().upper()
    if item.children:
        value = ""
    elif secret:
        value = mask(digits.rstrip("F")) if item.tag == "5A" else "*" * min(len(digits), 8)
    else:
        value = digits
    return Explained(
        tag=item.tag,
        name=name_of(item.tag, column),
        length=len(item.value),
        value=value,
        meaning=[] if secret or item.children else meaning(item.tag, item.value, column),
        children=[_one(child, column, unmasked) for child in item.children],
    )


def lines(explained: list[Explained], depth: int = 0) -> list[str]:
    """The tree as text, two spaces a level."""
    found = []
    for item in explained:
        indent = "  " * depth
        found.append(f"{indent}{item.tag} {item.name} [{item.length}] {item.value}".rstrip())
        found += [f"{indent}    {line}" for line in item.meaning]
        found += lines(item.children, depth + 1)
    return found
