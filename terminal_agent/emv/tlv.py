"""BER-TLV as cards and field 55 use it (EMV book 3 annex B): nested, bounded, definite lengths.

A tag is its bytes in upper-case hex (``"9F02"``), as configuration and people write it. Zero bytes
between data objects are skipped, as the standard allows. Errors name the place, never a value.
"""

from collections.abc import Iterable, Iterator
from typing import Final

from msgspec import Struct

DEPTH_MAX: Final = 8
"""Levels of nesting; a card's deepest template (6F/A5/BF0C/61) has four."""
BYTES_MAX: Final = 65536
TAG_BYTES_MAX: Final = 4

_CONSTRUCTED: Final = 0x20
_LONG_TAG: Final = 0x1F


class TlvError(ValueError):
    """Bytes that are no BER-TLV; says what is wrong and at which offset."""


class Tlv(Struct, frozen=True):
    """One data object. ``children`` are the parsed ``value`` of a constructed tag, else empty."""

    tag: str
    value: bytes
    children: "tuple[Tlv, ...]" = ()

    def __repr__(self) -> str:
        return f"<{self.tag}: {len(self.value)} bytes>"


def is_constructed(tag: str) -> bool:
    """Whether the tag's first byte says that its value is TLV again."""
    return bool(int(tag[:2], 16) & _CONSTRUCTED)


def parse(data: bytes, depth_max: int = DEPTH_MAX) -> tuple[Tlv, ...]:
    """All data objects of ``data`` in order. Raises TlvError.

    >>> parse(bytes.fromhex("9F0206000000000100"))
    (<9F02: 6 bytes>,)
    """
    if len(data) > BYTES_MAX:
        raise TlvError(f"more than {BYTES_MAX} bytes")
    return tuple(_objects(data, 0, depth_max))


def _objects(data: bytes, base: int, depth_left: int) -> Iterator[Tlv]:
    if depth_left == 0:
        raise TlvError(f"nested too deep at offset {base}")
    at = 0
    while at < len(data):
        if data[at] == 0:
            at += 1
            continue
        tag, begin = read_tag(data, at, base)
        length, begin = _read_length(data, begin, base)
        value = data[begin : begin + length]
        if len(value) < length:
            raise TlvError(f"the value of {tag} at offset {base + at} is cut short")
        inner = _objects(value, base + begin, depth_left - 1) if is_constructed(tag) else ()
        yield Tlv(tag, value, tuple(inner))
        at = begin + length


def read_tag(data: bytes, at: int, base: int = 0) -> tuple[str, int]:
    """The tag that begins at ``at``, and where it ends. ``base`` is added to offsets in errors."""
    end = at + 1
    if data[at] & _LONG_TAG == _LONG_TAG:
        while end < len(data) and data[end] & 0x80:
            end += 1
        end += 1
    if end > len(data):
        raise TlvError(f"a tag at offset {base + at} is cut short")
    if end - at > TAG_BYTES_MAX:
        raise TlvError(f"a tag at offset {base + at} has more than {TAG_BYTES_MAX} bytes")
    return data[at:end].hex().upper(), end


def _read_length(data: bytes, at: int, base: int) -> tuple[int, int]:
    if at >= len(data):
        raise TlvError(f"a length at offset {base + at} is missing")
    first = data[at]
    if first < 0x80:
        return first, at + 1
    count = first & 0x7F
    if not 1 <= count <= 3:
        raise TlvError(f"a length at offset {base + at} is indefinite or too long")
    if at + 1 + count > len(data):
        raise TlvError(f"a length at offset {base + at} is cut short")
    return int.from_bytes(data[at + 1 : at + 1 + count], "big"), at + 1 + count


def encode(tag: str, value: bytes) -> bytes:
    """One data object, its length in the shortest form. Raises TlvError above BYTES_MAX.

    >>> encode("9F36", bytes.fromhex("0001")).hex()
    '9f36020001'
    """
    length = len(value)
    if length > BYTES_MAX:
        raise TlvError(f"the value of {tag} has more than {BYTES_MAX} bytes")
    if length < 0x80:
        return bytes.fromhex(tag) + bytes([length]) + value
    packed = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes.fromhex(tag) + bytes([0x80 | len(packed)]) + packed + value


def find(objects: Iterable[Tlv], *path: str) -> Tlv | None:
    """The first data object that stands at ``path`` (templates, then the tag), or None."""
    for found in objects:
        if found.tag == path[0]:
            deeper = found if len(path) == 1 else find(found.children, *path[1:])
            if deeper is not None:
                return deeper
    return None


def walk(objects: Iterable[Tlv]) -> Iterator[Tlv]:
    """Every primitive data object at any depth, in order."""
    for found in objects:
        if is_constructed(found.tag):
            yield from walk(found.children)
        else:
            yield found
