"""Field 55 as the switch reads it: a flat list of BER-TLV data objects, and what may be journaled.

A tag is its bytes in upper-case hex (``9F36``). Unknown tags are kept, templates (71, 72) are not
opened, zero bytes between objects are skipped. Errors name a place, never a value (I12).
"""

from collections.abc import Iterable, Mapping

Objects = tuple[tuple[str, bytes], ...]
"""(tag, value) in the order they came."""

FIELD_BYTES_MAX = 255
"""What field 55 (LLLVAR) can carry."""
_TAG_BYTES_MAX = 4

SCRIPT_RESULTS = "DF31"
"""Tag of the results of issuer scripts (脚本结果)."""
JOURNALED: Mapping[str, int] = {"95": 5, "9F1E": 8, "9F10": 32, "9F36": 2, SCRIPT_RESULTS: 20}
"""Rule 18 of docs/payment-law.md, closed: tag → longest value. A longer one is none of it, so that
nothing else of a card is journaled under its name."""
ISSUER = frozenset({"91", "71", "72", "8A"})
"""What of a bank's answer is for the chip; some banks echo the whole request besides."""


class ChipError(ValueError):
    """Bytes that are no TLV of a field 55; says what is wrong and at which offset."""


def parse(data: bytes) -> Objects:
    """All data objects of a field 55. Raises ChipError.

    >>> parse(bytes.fromhex("9F3602001C9505000004E000"))
    (('9F36', b'\\x00\\x1c'), ('95', b'\\x00\\x00\\x04\\xe0\\x00'))
    """
    if len(data) > FIELD_BYTES_MAX:
        raise ChipError(f"more than {FIELD_BYTES_MAX} bytes")
    found = []
    at = 0
    while at < len(data):
        if data[at] == 0:
            at += 1
            continue
        tag, begin = _tag(data, at)
        length, begin = _length(data, begin)
        if begin + length > len(data):
            raise ChipError(f"the value of {tag} at offset {at} is cut short")
        found.append((tag, data[begin : begin + length]))
        at = begin + length
    return tuple(found)


def encode(objects: Iterable[tuple[str, bytes]]) -> bytes:
    """The same as bytes, lengths in their shortest form.

    >>> encode([("9F36", bytes.fromhex("001C"))]).hex()
    '9f3602001c'
    """
    return b"".join(bytes.fromhex(tag) + _packed(len(value)) + value for tag, value in objects)


def chosen(data: bytes, tags: Iterable[str]) -> bytes:
    """Of a field 55 these tags alone, in their order, the first of each. Raises ChipError.

    >>> chosen(bytes.fromhex("9F3602001C5A0212349505000004E000"), ["95", "9F36"]).hex()
    '9505000004e0009f3602001c'
    """
    first = dict(reversed(parse(data)))
    return encode((tag, first[tag]) for tag in tags if tag in first)


def for_chip(data: bytes) -> bytes:
    """Of an answer's field 55 what is for the chip, all of it as it came: there may be several
    scripts, and their order counts. Raises ChipError.

    >>> for_chip(bytes.fromhex("9F3602001C910400112233")).hex()
    '910400112233'
    """
    return encode((tag, value) for tag, value in parse(data) if tag in ISSUER)


def journaled(data: bytes) -> str:
    """What the journal may hold of a field 55, in hex. Raises ChipError.

    >>> journaled(bytes.fromhex("5A0212349F3602001C"))
    '9F3602001C'
    """
    kept = parse(chosen(data, JOURNALED))
    return encode((t, v) for t, v in kept if len(v) <= JOURNALED[t]).hex().upper()


def _tag(data: bytes, at: int) -> tuple[str, int]:
    end = at + 1
    if data[at] & 0x1F == 0x1F:
        while end < len(data) and data[end] & 0x80:
            end += 1
        end += 1
    if end > len(data) or end - at > _TAG_BYTES_MAX:
        raise ChipError(f"the tag at offset {at} is cut short or too long")
    return data[at:end].hex().upper(), end


def _length(data: bytes, at: int) -> tuple[int, int]:
    """One byte, or 81 and one byte: 255 is the most there is."""
    if data[at : at + 1] == b"\x81":
        at += 1
    elif at < len(data) and data[at] & 0x80:
        raise ChipError(f"the length at offset {at} is indefinite or too long")
    if at >= len(data):
        raise ChipError(f"the length at offset {at} is missing")
    return data[at], at + 1


def _packed(length: int) -> bytes:
    return bytes([length]) if length < 0x80 else bytes([0x81, length])
