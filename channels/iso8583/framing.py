"""How a frame that somebody has in hand is framed, and which dialect it is likely of.

For people with a trace: a frame may have its length prefix or not, and its dialect may be unknown.
Links never guess: they read what their dialect says (switch.net.frames).
"""

from enum import StrEnum

from msgspec import Struct

from channels.iso8583.codec import Codec
from channels.iso8583.errors import RemoteError
from channels.iso8583.headers import Lead
from channels.iso8583.message import Message
from channels.iso8583.recognise import Recogniser
from channels.iso8583.rules import check_complete
from switch.net.frames import LengthPrefix

_ASCII_BYTES = 4
_PREFIX_BYTES = {LengthPrefix.BINARY_2: 2, LengthPrefix.ASCII_4: _ASCII_BYTES}
_TPDU = 0x60
_CUPS = 0x2E
_BEGINNINGS = {bytes([_TPDU]), bytes([_CUPS])}


class Look(StrEnum):
    """What the first bytes of a frame look like."""

    ASCII_LENGTH = "ascii_length"
    BINARY_LENGTH = "binary_length"
    CUPS_HEADER = "cups_header"
    TPDU = "tpdu"
    ASCII_MTI = "ascii_mti"
    BCD_MTI = "bcd_mti"


class Read(Struct, frozen=True):
    """A frame that decoded: by which codec, with a length prefix or without."""

    codec: Codec
    message: Message
    prefixed: bool


class Broken(Struct, frozen=True):
    """A frame that does not decode, as far as a codec came with it."""

    codec: Codec
    message: Message | None
    """The fields before the first mistake; None: not even the beginning could be read."""
    errors: tuple[RemoteError, ...]
    """At least one: what its length prefix or header says wrong, and where its fields end."""


def looks(data: bytes, *, body: bool = False) -> list[Look]:
    """What the beginning of a frame looks like, outermost first.

    >>> looks(b"00040800")
    [<Look.ASCII_LENGTH: 'ascii_length'>, <Look.ASCII_MTI: 'ascii_mti'>]
    """
    found: list[Look] = []
    if not body:
        prefix = _prefix(data)
        prefix = prefix or _claimed(data)
        if prefix is LengthPrefix.ASCII_4:
            found.append(Look.ASCII_LENGTH)
        elif prefix is LengthPrefix.BINARY_2:
            found.append(Look.BINARY_LENGTH)
        data = data[_PREFIX_BYTES[prefix] :] if prefix else data
        if data[:1] == bytes([_CUPS]) and data[2:6].isdigit():
            found.append(Look.CUPS_HEADER)
            data = data[46:]
        elif data[:1] == bytes([_TPDU]):
            return [*found, Look.TPDU]
    if data[:4].isdigit() and data[:1] == b"0":
        found.append(Look.ASCII_MTI)
    elif data[:1] in {b"\x01", b"\x02", b"\x03", b"\x04", b"\x05", b"\x06", b"\x08"}:
        found.append(Look.BCD_MTI)
    return found


def read(codec: Codec, data: bytes, *, body: bool = False) -> Read:
    """Decode a frame with or without its length prefix; ``body``: it begins at the message type.

    Raises RemoteError: of the reading that the frame's first bytes speak for."""
    if body:
        return Read(codec, codec.decode_body(data, Lead(None, None)), prefixed=False)
    width = _PREFIX_BYTES[codec.dialect.length_prefix]
    prefixed = _prefix(data) is codec.dialect.length_prefix
    first = data[width:] if prefixed else data
    try:
        return Read(codec, codec.decode(first), prefixed)
    except RemoteError as error:
        if not prefixed:
            if _claimed(data) is codec.dialect.length_prefix:
                raise _other_length(data, width) from None
            raise
        try:
            return Read(codec, codec.decode(data), prefixed=False)
        except RemoteError:
            raise error from None


def as_far(codec: Codec, data: bytes, *, body: bool = False) -> Broken:
    """What can be read of a frame that :func:`read` refuses."""
    errors: list[RemoteError] = []
    width = _PREFIX_BYTES[codec.dialect.length_prefix]
    try:
        if body:
            message, more = codec.body_as_far(data, Lead(None, None))
            return Broken(codec, message, tuple(more))
        if _prefix(data) is codec.dialect.length_prefix:
            data = data[width:]
        elif _claimed(data) is codec.dialect.length_prefix:
            errors.append(_other_length(data, width))
            data = data[width:]
        message, more = codec.as_far(data)
    except RemoteError as error:
        return Broken(codec, None, (*errors, error))
    return Broken(codec, message, (*errors, *more))


def cut(data: bytes) -> list[bytes]:
    """Frames one behind the other, told apart by their length prefixes; the last may be broken.

    >>> [len(one) for one in cut(b"0020" + b"0800" + b"." * 16 + b"0020" + b"0800" + b"." * 16)]
    [24, 24]
    """
    frames: list[bytes] = []
    first = _claimed(data)
    while data:
        found = _claimed(data) if _prefix(data) is None else first
        width = _PREFIX_BYTES[found] if found else 0
        size = width + _said(data, width) if width else 0
        if found is not first or not 0 < size < len(data):
            return [*frames, data]
        if size > width:  # an idle frame is none
            frames.append(data[:size])
        data = data[size:]
    return frames


def likely(codecs: list[Codec], data: bytes, *, body: bool = False) -> list[Read]:
    """Every reading that decodes, the likeliest first: complete, recognised, prefixed."""
    found = []
    for codec in codecs:
        try:
            found.append(read(codec, data, body=body))
        except RemoteError:
            continue
    return sorted(found, key=_rank, reverse=True)


def _rank(one: Read) -> tuple[bool, bool, bool]:
    kind = Recogniser(one.codec.dialect).kind(one.message)
    try:
        check_complete(one.codec.dialect, one.message)
    except RemoteError:
        return False, bool(kind), one.prefixed
    return True, bool(kind), one.prefixed


def _said(data: bytes, width: int) -> int:
    """What a length prefix of so many bytes says."""
    return int(data[:4]) if width == _ASCII_BYTES else int.from_bytes(data[:2], "big")


def _other_length(data: bytes, width: int) -> RemoteError:
    rule = f"says {_said(data, width)}, and {len(data) - width} bytes follow"
    return RemoteError("length", rule)


def _claimed(data: bytes) -> LengthPrefix | None:
    """A length prefix that says another length than what follows, before what begins like a frame:
    the frame was cut, or there are several."""
    after = data[4:8]
    begins = after[:1] in _BEGINNINGS or (len(after) == 4 and after.isdigit() and after[:1] == b"0")
    if data[:4].isdigit() and begins:
        return LengthPrefix.ASCII_4
    return LengthPrefix.BINARY_2 if data[2:3] in _BEGINNINGS and data[:1] < b"\x08" else None


def _prefix(data: bytes) -> LengthPrefix | None:
    """The length prefix that says just what follows it."""
    if data[:4].isdigit() and int(data[:4]) == len(data) - 4:
        return LengthPrefix.ASCII_4
    if len(data) > 2 and int.from_bytes(data[:2], "big") == len(data) - 2:
        return LengthPrefix.BINARY_2
    return None
