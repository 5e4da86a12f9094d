"""Data object lists (PDOL, CDOL, DDOL): what a card asks to be told, and how it is filled in.

EMV book 3, 5.4: a numeric value is cut or filled with zeros on its left, a compressed numeric one
filled with F on its right, every other one cut or filled with zeros on its right. What the
terminal does not know, and templates, are zeros.
"""

from collections.abc import Callable
from typing import Final

from terminal_agent.emv.tags import form_of
from terminal_agent.emv.tlv import TlvError, is_constructed, read_tag

ENTRIES_MAX: Final = 64
BYTES_MAX: Final = 252
"""What fits into a command beside the template 83 and its length."""


def parse_dol(data: bytes) -> tuple[tuple[str, int], ...]:
    """(tag, length in bytes) of every entry. Raises TlvError.

    >>> parse_dol(bytes.fromhex("9F02069C01"))
    (('9F02', 6), ('9C', 1))
    """
    entries: list[tuple[str, int]] = []
    at = 0
    while at < len(data):
        tag, end = read_tag(data, at)
        if end >= len(data) or data[end] >= 0x80:
            raise TlvError(f"the entry {tag} of a data object list has no length")
        entries.append((tag, data[end]))
        at = end + 1
    if len(entries) > ENTRIES_MAX or sum(length for _, length in entries) > BYTES_MAX:
        raise TlvError("a data object list asks for more than fits into a command")
    return tuple(entries)


def fit(tag: str, value: bytes, length: int) -> bytes:
    """``value`` in exactly ``length`` bytes, by the format of its tag."""
    form = form_of(tag)
    if form == "n":
        return value[-length:].rjust(length, b"\0") if length else b""
    return value[:length].ljust(length, b"\xff" if form == "cn" else b"\0")


def fill(data: bytes, known: Callable[[str], bytes | None]) -> bytes:
    """The answer to the list ``data``, its values from ``known``. Raises TlvError."""
    parts = []
    for tag, length in parse_dol(data):
        value = None if is_constructed(tag) else known(tag)
        parts.append(bytes(length) if value is None else fit(tag, value, length))
    return b"".join(parts)
