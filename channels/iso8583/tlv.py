"""Data objects in a field: BER-TLV, and the banks' TLV in ASCII. Unknown tags are kept.

Errors name a place, never a value (I12). Field 55 of a payment is read by switch.model.chip, which
knows what may be journaled.
"""

from collections.abc import Iterator

_TAG_BYTES_MAX = 4
_LENGTH_BYTES_MAX = 2


class TlvError(ValueError):
    """No TLV; says what is wrong and at which offset."""


def parse(data: bytes) -> list[tuple[str, bytes]]:
    """BER-TLV: (tag in upper-case hex, value) in order; templates are not opened, zero bytes
    between objects are skipped. Raises TlvError.

    >>> parse(bytes.fromhex("9F3602001C1F210161"))
    [('9F36', b'\\x00\\x1c'), ('1F21', b'a')]
    """
    return list(_objects(data))


def parse_fixed(data: bytes, tag_bytes: int, length_bytes: int) -> list[tuple[str, bytes]]:
    """TLV with tags and binary lengths of fixed size. Raises TlvError.

    >>> parse_fixed(bytes.fromhex("2F010161"), 2, 1)
    [('2F01', b'a')]
    """
    found = []
    at = 0
    while at < len(data):
        begin = at + tag_bytes + length_bytes
        if begin > len(data):
            raise TlvError(f"the object at offset {at} is cut short")
        end = begin + int.from_bytes(data[at + tag_bytes : begin], "big")
        if end > len(data):
            raise TlvError(f"the value at offset {begin} is cut short")
        found.append((data[at : at + tag_bytes].hex().upper(), data[begin:end]))
        at = end
    return found


def parse_text(text: str, tag_chars: int, length_chars: int) -> list[tuple[str, str]]:
    """TLV written in characters: tag, length in decimal digits, value. Raises TlvError.

    >>> parse_text("A3003123A4002xy", 2, 3)
    [('A3', '123'), ('A4', 'xy')]
    """
    found = []
    at = 0
    while at < len(text):
        begin = at + tag_chars + length_chars
        length = text[at + tag_chars : begin]
        if len(length) != length_chars or not (length.isdigit() and length.isascii()):
            raise TlvError(f"the length at offset {at + tag_chars} is no number")
        end = begin + int(length)
        if end > len(text):
            raise TlvError(f"the value at offset {begin} is cut short")
        found.append((text[at : at + tag_chars], text[begin:end]))
        at = end
    return found


def _objects(data: bytes) -> Iterator[tuple[str, bytes]]:
    at = 0
    while at < len(data):
        if data[at] == 0:
            at += 1
            continue
        end = at + 1
        if data[at] & 0x1F == 0x1F:
            while end < len(data) and data[end] & 0x80:
                end += 1
            end += 1
        if end > len(data) or end - at > _TAG_BYTES_MAX:
            raise TlvError(f"the tag at offset {at} is cut short or too long")
        length, begin = _length(data, end)
        if begin + length > len(data):
            raise TlvError(f"the value at offset {begin} is cut short")
        yield data[at:end].hex().upper(), data[begin : begin + length]
        at = begin + length


def _length(data: bytes, at: int) -> tuple[int, int]:
    if at >= len(data):
        raise TlvError(f"the length at offset {at} is missing")
    if data[at] < 0x80:
        return data[at], at + 1
    size = data[at] & 0x7F
    begin, end = at + 1, at + 1 + size
    if not 1 <= size <= _LENGTH_BYTES_MAX or end > len(data):
        raise TlvError(f"the length at offset {at} is indefinite, too long or cut short")
    return int.from_bytes(data[begin:end], "big"), end
