"""IPP messages as bytes (RFC 8010): encoding and reading, without input, output or clock.

A message is a head of eight bytes, groups of attributes, an end mark, and then perhaps a document.
An attribute has one or more values, each with a tag of its own. A collection is not nested here but
kept as it stands on the wire, as the values between its begin and its end: so reading needs no
recursion, loses nothing, and no message costs more than its length.
"""

import struct
from enum import IntEnum
from typing import Final

from msgspec import Struct

VERSION: Final = (2, 0)
FIELD_BYTES_MAX: Final = 32_767
"""A name or a value; the length field is signed (RFC 8010, 3.1.4)."""
_HEAD: Final = struct.Struct(">BBHi")
_LENGTH: Final = struct.Struct(">H")
_INTEGER: Final = struct.Struct(">i")
_FIRST_VALUE_TAG: Final = 0x10
_LAST_TAG: Final = 0x7F


class IppError(ValueError):
    """Bytes that are no IPP message; says why, and shows none of them."""


class Tag(IntEnum):
    """Groups (below 16) and the kinds of values that are written or read here."""

    OPERATION = 0x01
    JOB = 0x02
    END = 0x03
    PRINTER = 0x04
    INTEGER = 0x21
    BOOLEAN = 0x22
    ENUM = 0x23
    TEXT_WITH_LANGUAGE = 0x35
    NAME_WITH_LANGUAGE = 0x36
    TEXT = 0x41
    NAME = 0x42
    KEYWORD = 0x44
    URI = 0x45
    CHARSET = 0x47
    LANGUAGE = 0x48
    MIME_TYPE = 0x49


class Value(Struct, frozen=True):
    """One value as the wire has it."""

    tag: int
    data: bytes

    def text(self) -> str:
        """Its text; bytes that are no UTF-8 are shown as such, a language is left out."""
        data = self.data
        if self.tag in (Tag.TEXT_WITH_LANGUAGE, Tag.NAME_WITH_LANGUAGE):
            try:
                _, at = _field(data, 0)
                data, _ = _field(data, at)
            except IppError:
                data = b""
        return data.decode("utf-8", "replace")


class Attribute(Struct, frozen=True):
    """A name and its values."""

    name: str
    values: tuple[Value, ...]


class Group(Struct, frozen=True):
    """Attributes of one thing: of the operation, a job, the printer."""

    tag: int
    attributes: tuple[Attribute, ...] = ()

    def values(self, name: str) -> tuple[Value, ...]:
        """Of the first attribute of this name; none when there is none."""
        return next((found.values for found in self.attributes if found.name == name), ())

    def texts(self, name: str) -> tuple[str, ...]:
        """Texts, keywords, names."""
        return tuple(value.text() for value in self.values(name))

    def integer(self, name: str) -> int | None:
        """An integer or an enum; None when there is none."""
        for value in self.values(name)[:1]:
            if value.tag in (Tag.INTEGER, Tag.ENUM) and len(value.data) == _INTEGER.size:
                return int(_INTEGER.unpack(value.data)[0])
        return None

    def boolean(self, name: str) -> bool | None:
        """True, False; None when there is none."""
        for value in self.values(name)[:1]:
            if value.tag == Tag.BOOLEAN and len(value.data) == 1:
                return value.data != b"\x00"
        return None


class Message(Struct, frozen=True, kw_only=True):
    """A request or an answer."""

    code: int
    """The operation of a request, the status of an answer."""
    request_id: int
    groups: tuple[Group, ...]
    document: bytes = b""
    version: tuple[int, int] = VERSION

    def group(self, tag: Tag) -> Group:
        """The first group of this kind; an empty one when there is none."""
        return next((found for found in self.groups if found.tag == tag), Group(tag))


def texts(tag: Tag, name: str, *values: str) -> Attribute:
    """An attribute of texts, keywords, names or addresses."""
    return Attribute(name, tuple(Value(tag, value.encode()) for value in values))


def integers(tag: Tag, name: str, *values: int) -> Attribute:
    """An attribute of integers or enums."""
    return Attribute(name, tuple(Value(tag, _INTEGER.pack(value)) for value in values))


def boolean(name: str, value: bool) -> Attribute:
    """An attribute that is true or false."""
    return Attribute(name, (Value(Tag.BOOLEAN, bytes([value])),))


def encode(message: Message) -> bytes:
    """The wire's bytes. Raises IppError for a name or a value that is too long, and for a group
    or a value with the other one's tag."""
    out = bytearray(_HEAD.pack(*message.version, message.code, message.request_id))
    for group in message.groups:
        if group.tag >= _FIRST_VALUE_TAG or group.tag == Tag.END:
            raise IppError("no tag of a group")
        out.append(group.tag)
        for attribute in group.attributes:
            _write(out, attribute)
    out.append(Tag.END)
    return bytes(out) + message.document


def _write(out: bytearray, attribute: Attribute) -> None:
    name = attribute.name.encode("ascii")
    if not name or not attribute.values:
        raise IppError("an attribute without name or value")
    for value in attribute.values:
        if not _FIRST_VALUE_TAG <= value.tag <= _LAST_TAG:
            raise IppError("no tag of a value")
        out.append(value.tag)
        for field in (name, value.data):
            if len(field) > FIELD_BYTES_MAX:
                raise IppError("a field is too long")
            out += _LENGTH.pack(len(field)) + field
        name = b""


def decode(data: bytes) -> Message:
    """What came. Raises IppError."""
    if len(data) < _HEAD.size:
        raise IppError("shorter than a head")
    major, minor, code, request_id = _HEAD.unpack_from(data)
    groups: list[tuple[int, list[Attribute]]] = []
    at = _HEAD.size
    while True:
        tag = _byte(data, at)
        if tag == Tag.END:
            break
        if tag < _FIRST_VALUE_TAG:
            groups.append((tag, []))
            at += 1
        elif groups:
            at = _read(data, at, groups[-1][1])
        else:
            raise IppError("an attribute outside a group")
    return Message(
        version=(major, minor),
        code=code,
        request_id=request_id,
        groups=tuple(Group(tag, tuple(attributes)) for tag, attributes in groups),
        document=data[at + 1 :],
    )


def _read(data: bytes, at: int, attributes: list[Attribute]) -> int:
    """One attribute with all its values; where the next thing begins."""
    tag = data[at]
    name, at = _field(data, at + 1)
    if not name or not name.isascii():
        raise IppError("a value without a name, or a name that is not ASCII")
    values = []
    while True:
        if tag > _LAST_TAG:
            raise IppError("no tag of a value")
        value, at = _field(data, at)
        values.append(Value(tag, value))
        tag = _byte(data, at)
        if tag < _FIRST_VALUE_TAG or _length(data, at + 1):
            break
        at += 1 + _LENGTH.size
    attributes.append(Attribute(name.decode("ascii"), tuple(values)))
    return at


def _byte(data: bytes, at: int) -> int:
    if at >= len(data):
        raise IppError("it breaks off")
    return data[at]


def _length(data: bytes, at: int) -> int:
    if at + _LENGTH.size > len(data):
        raise IppError("it breaks off")
    length = int(_LENGTH.unpack_from(data, at)[0])
    if length > FIELD_BYTES_MAX:
        raise IppError("a field is too long")
    return length


def _field(data: bytes, at: int) -> tuple[bytes, int]:
    """A length and as many bytes; where the next thing begins."""
    begin = at + _LENGTH.size
    end = begin + _length(data, at)
    if end > len(data):
        raise IppError("it breaks off")
    return data[begin:end], end
