"""The kinds of value a host command carries, and how each looks on the wire.

A kind reads a value at a place and writes it there; both may look at the values before it, because
some widths depend on them. What does not fit its kind is a CommandError with the kind's code, 15
unless it says otherwise.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, Protocol

from hsm.block_header import HEADER_LENGTH
from hsm.errors import CommandError
from hsm.keys import BLOCK_SCHEMES, SCHEME_BYTES, Cryptogram
from hsm.tail import TRAILER, TRAILER_MAX

Values = dict[str, Any]
"""Field name → value: ``str`` for digits, hex and choices, Cryptogram for keys, ``bytes`` for
data. Never logged: it may hold clear data."""

Width = int | Callable[[Values], int]

Made = Callable[[str], Any]

_HEX: Final = b"0123456789ABCDEFabcdef"
_DECIMAL: Final = b"0123456789"
_HEX_DIGITS: Final = _HEX.decode("ascii")
_HEX_PATTERN: Final = "[0-9A-Fa-f]"

CRYPTOGRAMS_MAX: Final = 4096
"""Cryptograms remembered as objects; none of them is a secret."""


class Kind(Protocol):
    """How one value looks on the wire.

    A kind whose form depends on no other value may have a ``pattern`` (a regular expression over
    Latin-1 text) and ``made`` (makes the value of the text that matched; without it the text is
    the value). The pattern takes nothing that ``read`` would not.
    """

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


@lru_cache(maxsize=CRYPTOGRAMS_MAX)
def _cryptogram(text: str) -> Cryptogram:
    """One object for each cryptogram that comes often: its hash is known, too."""
    if text[0] in _HEX_DIGITS:
        return Cryptogram("", text.upper())
    return Cryptogram(text[0], text[1:].upper())


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

    @property
    def pattern(self) -> str:
        return f"[0-9]{{{self.width}}}"

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

    @property
    def pattern(self) -> str:
        return f"{_HEX_PATTERN}{{{self.width}}}" if isinstance(self.width, int) else ""

    @property
    def made(self) -> Made:
        return str.upper

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

    @property
    def pattern(self) -> str:
        widths = {len(word) for word in self.words}
        return "|".join(re.escape(word) for word in self.words) if len(widths) == 1 else ""

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

    @property
    def pattern(self) -> str:
        """Of the schemes with hex; key blocks say their length themselves."""
        if not isinstance(self.untagged, int):
            return ""
        tagged = (
            f"{scheme}{_HEX_PATTERN}{{{2 * length}}}"
            for scheme, length in SCHEME_BYTES.items()
            if scheme.encode() not in _HEX
        )
        return "|".join((f"{_HEX_PATTERN}{{{self.untagged}}}", *tagged))

    @property
    def made(self) -> Made:
        return _cryptogram

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
        return _cryptogram(scheme + chunk.decode("ascii")), start + width

    def write(self, value: Cryptogram, seen: Values) -> bytes:
        if not value.in_block:
            width = self.untagged if isinstance(self.untagged, int) else self.untagged(seen)
            if len(value.body) != (2 * SCHEME_BYTES[value.scheme] if value.scheme else width):
                raise ValueError("the key has another length than its field")
        return (value.scheme + value.body).encode("ascii")


@dataclass(frozen=True, slots=True)
class KeyBeforeKey(Key):
    """A key field with another one behind it. An untagged one has ``untagged`` characters, or 16
    where only then a whole key field follows: old hosts send single-length ZMKs so."""

    @property
    def pattern(self) -> str:
        return ""

    def read(self, data: bytes, at: int, seen: Values) -> tuple[Cryptogram, int]:
        try:
            found = Key.read(self, data, at, seen)
            Key.read(_ANY_KEY, data, found[1], seen)
        except CommandError:
            if data[at : at + 1] not in _HEX:
                raise
            return Key.read(_ANY_KEY, data, at, seen)
        return found

    def write(self, value: Cryptogram, seen: Values) -> bytes:
        single = not value.scheme and len(value.body) == _SINGLE
        return Key.write(_ANY_KEY if single else self, value, seen)


_SINGLE: Final = 16
_ANY_KEY: Final = Key(_SINGLE)


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
class DigitRun:
    """One to ``longest`` decimal digits, as ``str``; they end where no digit follows."""

    longest: int

    @property
    def notation(self) -> str:
        return f"1 to {self.longest}N"

    def read(self, data: bytes, at: int, seen: Values) -> tuple[str, int]:
        chunk = data[at : at + self.longest]
        width = len(chunk) - len(chunk.lstrip(_DECIMAL))
        if not width:
            raise CommandError("15")
        return chunk[:width].decode("ascii"), at + width

    def write(self, value: str, seen: Values) -> bytes:
        if not 1 <= len(value) <= self.longest:
            raise ValueError(f"1 to {self.longest} digits are needed, not {len(value)}")
        return value.encode("ascii")


@dataclass(frozen=True, slots=True)
class Rest:
    """Data to the end of the command, as ``bytes``, without a length of its own.

    Nothing but a tail says where it ends: the first 0x19 in the last 33 bytes begins a trailer, and
    ``%NN`` at the very end, or before the trailer, selects an LMK. Data that may look so belongs in
    a command with a length.
    """

    notation: str = "data to the end"

    def read(self, data: bytes, at: int, seen: Values) -> tuple[bytes, int]:
        end = data.find(TRAILER, max(at, len(data) - 1 - TRAILER_MAX))
        end = len(data) if end < 0 else end
        if data[end - 3 : end - 2] == b"%" and data[end - 2 : end].isdigit() and end - 3 >= at:
            end -= 3
        return data[at:end], end

    def write(self, value: bytes, seen: Values) -> bytes:
        return value


@dataclass(frozen=True, slots=True)
class Counted:
    """Data behind its length, as ``bytes``.

    The length has ``digits`` characters of the number base ``base``. ``form`` names the field that
    says how the data travels (0 binary, 1 hex, 2 text); the length counts characters on the wire,
    or with ``in_bytes`` the bytes that hex characters stand for. Less data than announced is error
    80.
    """

    form: str = ""
    digits: int = 4
    base: int = 16
    in_bytes: bool = False

    @property
    def notation(self) -> str:
        return f"length {self.digits}{'H' if self.base == 16 else 'N'} + data"

    def read(self, data: bytes, at: int, seen: Values) -> tuple[bytes, int]:
        prefix = _take(data, at, self.digits)
        if prefix.translate(None, _HEX if self.base == 16 else _DECIMAL):
            raise CommandError("15")
        form = seen[self.form] if self.form else "0"
        start = at + self.digits
        end = start + int(prefix, self.base) * (2 if self.in_bytes and form == "1" else 1)
        chunk = data[start:end]
        if end > len(data):
            raise CommandError("80")
        if form == "0":
            return chunk, end
        if form == "2":
            if not chunk.isascii():
                raise CommandError("15")
            return chunk, end
        if len(chunk) % 2 or chunk.translate(None, _HEX):
            raise CommandError("15")
        return bytes.fromhex(chunk.decode("ascii")), end

    def write(self, value: bytes, seen: Values) -> bytes:
        form = seen[self.form] if self.form else "0"
        chunk = value.hex().upper().encode("ascii") if form == "1" else value
        count = len(value) if self.in_bytes else len(chunk)
        prefix = f"{count:0{self.digits}{'X' if self.base == 16 else 'd'}}"
        if len(prefix) > self.digits:
            raise ValueError("the data is too long for its length field")
        return prefix.encode("ascii") + chunk
