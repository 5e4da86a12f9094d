"""What may follow the data of a request: ``[%NN] [#attributes] [&export] [!export] [trailer]``."""

from typing import Final, NamedTuple

from hsm.block_header import Attributes, read_blocks
from hsm.errors import CommandError

TRAILER: Final = b"\x19"
TRAILER_MAX: Final = 32

_ATTRIBUTES_LENGTH: Final = 10
"""Usage 2, algorithm 2, mode 1, key version 2, exportability 1, number of optional blocks 2."""


class Tail(NamedTuple):
    """What may follow the data of any request; attributes only where the command takes them."""

    lmk_id: str = ""
    trailer: bytes = b""
    """With its leading 0x19; it goes back as it came."""
    attributes: Attributes | None = None
    """Behind ``#``: the header that a new key block shall have."""
    block_export: str = ""
    """Behind ``&``: exportability of an exported key block."""
    variant_export: str = ""
    """Behind ``!``: export attributes of a key under a variant LMK."""


NO_TAIL: Final = Tail()


def read_tail(rest: bytes, *, attributed: bool) -> Tail | None:
    """The tail, None when it is none. CommandError 13, or B3 … BC for a bad attribute."""
    lmk_id = ""
    if rest.startswith(b"%"):
        digits = rest[1:3]
        if len(digits) < 2 or not digits.isdigit():
            raise CommandError("13", "lmk_id")
        lmk_id, rest = digits.decode("ascii"), rest[3:]
    if not rest:
        return Tail(lmk_id)
    if attributed and rest[:1] in (b"#", b"&", b"!"):
        return _read_attributes(lmk_id, rest)
    return _read_trailer(Tail(lmk_id), rest)


def _read_trailer(tail: Tail, rest: bytes) -> Tail | None:
    if rest and not (rest.startswith(TRAILER) and len(rest) <= 1 + TRAILER_MAX):
        return None
    return tail._replace(trailer=rest)


def _read_attributes(lmk_id: str, rest: bytes) -> Tail | None:
    text, at = rest.decode("latin-1"), 0
    attributes, block_export, variant_export = None, "", ""
    if text.startswith("#"):
        head = text[1 : 1 + _ATTRIBUTES_LENGTH]
        if len(head) < _ATTRIBUTES_LENGTH or not head.isascii() or not head[5:7].isalnum():
            raise CommandError("15", "attributes")
        if not head[8:].isdecimal():
            raise CommandError("B3", "attributes")
        blocks, at = read_blocks(text, 1 + _ATTRIBUTES_LENGTH, int(head[8:]), "attributes")
        attributes = Attributes(head[:2], head[2:4], head[4], head[5:7], head[7], blocks)
    if text.startswith("&", at):
        block_export, at = text[at + 1 : at + 2], at + 2
        if block_export not in ("N", "S", "E"):
            raise CommandError("AA", "export attribute")
    if text.startswith("!", at):
        variant_export, at = text[at + 1 : at + 2], at + 2
        if not variant_export.isalnum():
            raise CommandError("15", "export attribute")
    found = Tail(lmk_id, b"", attributes, block_export, variant_export)
    return _read_trailer(found, rest[at:])


def write_tail(tail: Tail) -> bytes:
    """The bytes of a tail."""
    out = f"%{tail.lmk_id}" if tail.lmk_id else ""
    if tail.attributes is not None:
        a = tail.attributes
        out += f"#{a.usage}{a.algorithm}{a.mode}{a.key_version}{a.export}{len(a.blocks):02d}"
        out += "".join(f"{name}{4 + len(data):02X}{data}" for name, data in a.blocks)
    if tail.block_export:
        out += f"&{tail.block_export}"
    if tail.variant_export:
        out += f"!{tail.variant_export}"
    return out.encode("ascii") + tail.trailer


def guess_trailer(data: bytes) -> bytes:
    """The trailer of a request that could not be read: from the last 0x19 near the end."""
    at = data.rfind(TRAILER, max(0, len(data) - 1 - TRAILER_MAX))
    return data[at:] if at >= 0 else b""
