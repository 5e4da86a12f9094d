"""Reading what a template wrote: the other direction of :mod:`channels.iso8583.template`. Pure."""

import re
from collections.abc import Mapping
from functools import lru_cache
from string import Formatter

from channels.iso8583.dialogue import Part

SIZES: Mapping[str, int] = {
    "debit_count": 3,
    "debit_amount": 12,
    "credit_count": 3,
    "credit_amount": 12,
}
"""Characters of the values that have a fixed width."""
_LENGTHS = {"len2": 2, "len3": 3}


def captured(text: str, value: str) -> dict[str, str] | None:
    """The values that made ``value`` by the template ``text``; None when it was not made by it.

    >>> captured("A3{qr_code:len3}{qr_code}", "A3018134567890123456789")
    {'qr_code': '134567890123456789'}
    """
    found = _pattern(text).fullmatch(value)
    if found is None:
        return None
    groups = found.groupdict()
    for name, digits in groups.items():
        if name.startswith("len_") and int(digits) != len(groups[name.removeprefix("len_")]):
            return None
    return {name: part for name, part in groups.items() if not name.startswith("len_")}


def part_of(fields: Mapping[str, str], part: Part) -> str:
    """The characters a part names, without spaces at their ends; "" when the field is too short."""
    cut = fields.get(part.field, "")[part.at : part.at + part.size]
    return cut.strip()


def exact_part(fields: Mapping[str, str], part: Part) -> str:
    """As :func:`part_of`, but all of it or nothing: for numbers of a fixed length."""
    cut = part_of(fields, part)
    return cut if len(cut) == part.size else ""


@lru_cache(maxsize=64)
def _pattern(text: str) -> re.Pattern[str]:
    pieces = []
    for before, name, shape, _ in Formatter().parse(text):
        pieces.append(re.escape(before))
        if name is None:
            continue
        if shape in _LENGTHS:
            pieces.append(f"(?P<len_{name}>[0-9]{{{_LENGTHS[shape]}}})")
        else:
            size = f"{{{SIZES[name]}}}" if name in SIZES else "*"
            pieces.append(f"(?P<{name}>.{size})")
    return re.compile("".join(pieces), re.DOTALL)
