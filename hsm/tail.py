"""What may follow the data of a request: ``[%NN] [#attributes] [&export] [!version] [trailer]``.

``&`` and ``!`` are followed by one character, or, where a key under a variant LMK goes out in a key
block, by the attributes of that block.
"""

from collections.abc import Callable
from typing import Final, NamedTuple

from hsm.block_header import EXPORTS, Attributes, read_attributes, write_attributes
from hsm.errors import CommandError

TRAILER: Final = b"\x19"
TRAILER_MAX: Final = 32


class Tail(NamedTuple):
    """What may follow the data of any request; attributes only where the command takes them."""

    lmk_id: str = ""
    trailer: bytes = b""
    """With its leading 0x19; it goes back as it came."""
    attributes: Attributes | None = None
    """Behind ``#``: the header that a new key block shall have."""
    block_export: str = ""
    """Behind ``&``: exportability of an exported key block."""
    block_version: str = ""
    """Behind ``!``: version of an exported key block."""


NO_TAIL: Final = Tail()


def read_tail(rest: bytes, *, attributed: bool) -> Tail | None:
    """The tail, None when it is none. CommandError 13, or 15, A7 … BC for a bad attribute."""
    text, at, tail = rest.decode("latin-1"), 0, NO_TAIL
    signs = "%#&!" if attributed else "%"
    while text[at : at + 1] and text[at] in signs:
        sign = text[at]
        signs = signs.replace(sign, "")
        tail, at = _READERS[sign](tail, text, at + 1)
    trailer = rest[at:]
    if trailer and not (trailer.startswith(TRAILER) and len(trailer) <= 1 + TRAILER_MAX):
        return None
    return tail._replace(trailer=trailer)


def _read_lmk(tail: Tail, text: str, at: int) -> tuple[Tail, int]:
    digits = text[at : at + 2]
    if len(digits) < 2 or not (digits.isascii() and digits.isdigit()):
        raise CommandError("13", "lmk_id")
    return tail._replace(lmk_id=digits), at + 2


def _read_header(tail: Tail, text: str, at: int) -> tuple[Tail, int]:
    attributes, at = read_attributes(text, at)
    return tail._replace(attributes=attributes), at


def _read_export(tail: Tail, text: str, at: int) -> tuple[Tail, int]:
    if _is_short(text, at):
        if text[at] not in EXPORTS:
            raise CommandError("AA", "export attribute")
        return tail._replace(block_export=text[at]), at + 1
    return _read_header(tail, text, at)


def _read_version(tail: Tail, text: str, at: int) -> tuple[Tail, int]:
    if _is_short(text, at):
        return tail._replace(block_version=text[at]), at + 1
    return _read_header(tail, text, at)


def _is_short(text: str, at: int) -> bool:
    """Whether one character stands alone: the end, a sign or the trailer comes behind it."""
    return len(text) > at and text[at + 1 : at + 2] in ("", "%", "#", "&", "!", "\x19")


_READERS: Final[dict[str, Callable[[Tail, str, int], tuple[Tail, int]]]] = {
    "%": _read_lmk,
    "#": _read_header,
    "&": _read_export,
    "!": _read_version,
}


def write_tail(tail: Tail) -> bytes:
    """The bytes of a tail."""
    out = f"%{tail.lmk_id}" if tail.lmk_id else ""
    if tail.attributes is not None:
        out += "#" + write_attributes(tail.attributes)
    if tail.block_export:
        out += f"&{tail.block_export}"
    if tail.block_version:
        out += f"!{tail.block_version}"
    return out.encode("ascii") + tail.trailer


def guess_trailer(data: bytes) -> bytes:
    """The trailer of a request that could not be read: from the last 0x19 near the end."""
    at = data.rfind(TRAILER, max(0, len(data) - 1 - TRAILER_MAX))
    return data[at:] if at >= 0 else b""
