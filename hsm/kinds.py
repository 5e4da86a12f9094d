"""The kinds of value a host command carries, and how each looks on the wire.

A kind reads a value at a place and writes it there; both may look at the values before it, because
some widths depend on them. What does not fit its kind is a CommandError with the kind's code, 15
unless it says otherwise.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Protocol

from hsm.block_header import HEADER_LENGTH
from hsm.errors import CommandError
from hsm.keys import BLOCK_SCHEMES, SCHEME_BYTES, Cryptogram

Values = dict[str, Any]
"""Field name → value: ``str`` for digits, hex and choices, Cryptogram for keys, ``bytes`` for
data. Never logged: it may hold clear data."""

Width = int | Callable[[Values], int]

_HEX: Final = b"0123456789ABCDEFabcdef"


class Kind(Protocol):
    """How one value looks on the wire."""

    @property
    def notation(self) -> str:
        """For the printed table: ``16H``, ``2N`` …"""
        ...

    def read(self, data: bytes, at: int, seen: Values) -> tuple[Any, int]:
        """The value at ``at`` and where it ends. CommandError when it is not one."""
        ...

    def write(self, value: Any, seen: Values) -> bytes:
        """The value's bytes. ValueError when it does not fit: the caller's mistake."""
        ...


def _take(data: bytes, at: int, width: int) -> bytes:
    chunk = data[at : at + width]
    if len(chunk) < width:
        raise CommandError("15")
    return chunk


def _checked(text: str, width: int) -> bytes:
    if len(text) != width:
        raise ValueError(f"{width} characters are needed, not {len(text)}")
    return text.encode("ascii")


@dataclass(frozen=True, slots=True)
class Digits:
    """``width`` decimal digits, as ``str``."""

    width: int

    @property
    def notation(self) -> str:
        return f"{self.width}N"

    def read(self, data: bytes, at: int, seen: Values) -> tuple[str, int]:
        chunk = _take(data, at, self.width)
        if not chunk.isdigit():
            raise CommandError("15")
        return chunk.decode("ascii"), at + self.width

    def write(self, value: str, seen: Values) -> bytes:
        return _checked(value, self.width)


@dataclass(frozen=True, slots=True)
class Hex:
    """Hex characters, as upper-case ``str``."""

    width: Width
    shown: str = ""

    @property
    def notation(self) -> str:
        return self.shown or f"{self.width}H"

    def read(self, data: bytes, at: int, seen: Values) -> tuple[str, int]:
        width = self.width if isinstance(self.width, int) else self.width(seen)
        chunk = _take(data, at, width)
        if chunk.translate(None, _HEX):
            raise CommandError("15")
        return chunk.decode("ascii").upper(), at + width

    def write(self, value: str, seen: Values) -> bytes:
        return _checked(value, self.width if isinstance(self.width, int) else self.width(seen))


@dataclass(frozen=True, slots=True)
class Text:
    """``width`` printable ASCII characters."""

    width: int

    @property
    def notation(self) -> str:
        return f"{self.width}A"

    def read(self, data: bytes, at: int, seen: Values) -> tuple[str, int]:
        chunk = _take(data, at, self.width)
        if not chunk.isascii() or not chunk.decode("ascii").isprintable():
            raise CommandError("15")
        return chunk.decode("ascii"), at + self.width

    def write(self, value: str, seen: Values) -> bytes:
        return _checked(value, self.width)


@dataclass(frozen=True, slots=True)
class Choice:
    """One of a few words of equal length; another word is error ``code``."""

    words: tuple[str, ...]
    code: str = "15"
    shown: str = ""

    @property
    def notation(self) -> str:
        return self.shown or " ".join(self.words)

    def read(self, data: bytes, at: int, seen: Values) -> tuple[str, int]:
        width = len(self.words[0])
        word = _take(data, at, width).decode("latin-1")
        if word not in self.words:
            raise CommandError(self.code)
        return word, at + width

    def write(self, value: str, seen: Values) -> bytes:
        if value not in self.words:
            raise ValueError("not one of the declared words")
        return value.encode("ascii")


@dataclass(frozen=True, slots=True)
class Key:
    """A key field: a scheme tag and hex, ``untagged`` hex characters without a tag, or a key block
    behind ``S`` (under the LMK) or ``R`` (TR-31). ``K`` and an index into user storage is known
    but not kept: error 12."""

    untagged: Width = 16

    @property
    def notation(self) -> str:
        return "key"

    def read(self, data: bytes, at: int, seen: Values) -> tuple[Cryptogram, int]:
        tag = _take(data, at, 1)
        if tag in _HEX:
            scheme, start = "", at
            width = self.untagged if isinstance(self.untagged, int) else self.untagged(seen)
        else:
            scheme, start = tag.decode("latin-1"), at + 1
            if scheme in BLOCK_SCHEMES:
                return _key_block(data, start, scheme)
            if scheme not in SCHEME_BYTES:
                raise CommandError("12" if scheme == "K" else "26")
            width = 2 * SCHEME_BYTES[scheme]
        chunk = _take(data, start, width)
        if chunk.translate(None, _HEX):
            raise CommandError("15")
        return Cryptogram(scheme, chunk.decode("ascii").upper()), start + width

    def write(self, value: Cryptogram, seen: Values) -> bytes:
        if not value.in_block:
            width = self.untagged if isinstance(self.untagged, int) else self.untagged(seen)
            if len(value.body) != (2 * SCHEME_BYTES[value.scheme] if value.scheme else width):
                raise ValueError("the key has another length than its field")
        return (value.scheme + value.body).encode("ascii")


def _key_block(data: bytes, start: int, scheme: str) -> tuple[Cryptogram, int]:
    """A key block from its version character on; its own length says where it ends."""
    digits = _take(data, start + 1, 4)
    if not digits.isdigit() or int(digits) < HEADER_LENGTH:
        raise CommandError("15")
    end = start + int(digits)
    chunk = _take(data, start, int(digits))
    if not chunk.isascii() or not chunk.decode("ascii").isprintable():
        raise CommandError("15")
    return Cryptogram(scheme, chunk.decode("ascii")), end


@dataclass(frozen=True, slots=True)
class Bytes:
    """As many bytes as the values before it say."""

    width: Callable[[Values], int]
    shown: str

    @property
    def notation(self) -> str:
        return self.shown

    def read(self, data: bytes, at: int, seen: Values) -> tuple[bytes, int]:
        width = self.width(seen)
        return _take(data, at, width), at + width

    def write(self, value: bytes, seen: Values) -> bytes:
        if len(value) != self.width(seen):
            raise ValueError("the data has another length than its field")
        return value


@dataclass(frozen=True, slots=True)
class Counted:
    """Data behind a length of 4 hex characters, as ``bytes``.

    ``form`` names the field that says how the data travels (0 binary, 1 hex, 2 text); the length
    counts characters on the wire. Less data than announced is error 80.
    """

    form: str = ""

    @property
    def notation(self) -> str:
        return "length 4H + data"

    def read(self, data: bytes, at: int, seen: Values) -> tuple[bytes, int]:
        prefix = _take(data, at, 4)
        if prefix.translate(None, _HEX):
            raise CommandError("15")
        start = at + 4
        end = start + int(prefix, 16)
        chunk = data[start:end]
        if end > len(data):
            raise CommandError("80")
        if not self.form or seen[self.form] == "0":
            return chunk, end
        if seen[self.form] == "2":
            if not chunk.isascii():
                raise CommandError("15")
            return chunk, end
        if len(chunk) % 2 or chunk.translate(None, _HEX):
            raise CommandError("15")
        return bytes.fromhex(chunk.decode("ascii")), end

    def write(self, value: bytes, seen: Values) -> bytes:
        form = seen[self.form] if self.form else "0"
        chunk = value.hex().upper().encode("ascii") if form == "1" else value
        if len(chunk) > 0xFFFF:
            raise ValueError("the data is too long for its length field")
        return b"%04X%b" % (len(chunk), chunk)
