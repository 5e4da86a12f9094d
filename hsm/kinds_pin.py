"""Kinds of value that only PIN commands carry."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from hsm.errors import CommandError
from hsm.keys import Cryptogram
from hsm.kinds import Values

ACCOUNT_WIDTH: Final = 12
PLUS_WIDTH: Final = 18
"""Format 04 may be asked with the whole account number, F on its left."""

_PLUS, _ISO_4 = "04", "48"
_LONG: Final = frozenset({_PLUS, _ISO_4})
_PAN_WIDTHS: Final = range(13, 20)
_STOPS: Final = b"%\x19;"
"""What ends the fields and starts an option, the LMK id or the trailer."""

_BDK_USAGES: Final = frozenset({"B0", "41"})
_WIDE_ALGORITHMS: Final = frozenset("A4")
_WIDE: Final = 32
_NARROW: Final = 16
_HEX: Final = b"0123456789ABCDEFabcdef"


def is_bdk(key: Cryptogram) -> bool:
    """Whether a key block says that its key is a base derivation key."""
    return key.in_block and key.body[5:7] in _BDK_USAGES


def _end_of_fields(data: bytes, at: int) -> int:
    found = (data.find(stop, at) for stop in _STOPS)
    return min((place for place in found if place >= 0), default=len(data))


@dataclass(frozen=True, slots=True)
class PinBlock:
    """An encrypted PIN block: 32 hex characters under an AES or SM4 key in the field ``key``, else
    16. ``anchored``: an account follows that ends the fields."""

    key: str
    anchored: bool = False

    @property
    def notation(self) -> str:
        return "16H (32H under AES or SM4)"

    @property
    def pattern(self) -> str:
        """Of the narrow one, where a wide one cannot pass for it: its fields would not end."""
        return f"[0-9A-Fa-f]{{{_NARROW}}}" if self.anchored else ""

    @property
    def made(self) -> Callable[[str], str]:
        return str.upper

    def read(self, data: bytes, at: int, seen: Values) -> tuple[str, int]:
        end = at + self._width(seen)
        chunk = data[at:end]
        if len(data) < end or chunk.translate(None, _HEX):
            raise CommandError("15")
        return chunk.decode("ascii").upper(), end

    def write(self, value: str, seen: Values) -> bytes:
        if len(value) != self._width(seen):
            raise ValueError("the PIN block has another length than its field")
        return value.encode("ascii")

    def _width(self, seen: Values) -> int:
        key: Cryptogram = seen[self.key]
        return _WIDE if key.in_block and key.body[7] in _WIDE_ALGORITHMS else _NARROW


@dataclass(frozen=True, slots=True)
class Account:
    """The account of a PIN block: 12 digits, the rightmost of the card number without its check
    digit.

    Format 04 takes 18 as well (the whole number without its check digit, F on its left), and
    format 48 the whole card number of 13-19 digits, before ``;`` or before the last ``after``
    characters. ``formats`` names the fields that say which format it is.
    """

    formats: tuple[str, ...]
    after: int | None = 0
    """Characters that follow up to the end of the fields; None: not fixed."""

    @property
    def notation(self) -> str:
        return f"{ACCOUNT_WIDTH}N"

    @property
    def pattern(self) -> str:
        """Of 12 digits that end the fields."""
        return "" if self.after != 0 else rf"[0-9]{{{ACCOUNT_WIDTH}}}(?=[%\x19]|\Z)"

    def read(self, data: bytes, at: int, seen: Values) -> tuple[str, int]:
        width, skipped = ACCOUNT_WIDTH, 0
        for name in self.formats:
            if seen[name] in _LONG:
                width, skipped = self._long(data, at, seen)
                break
        chunk = data[at : at + width]
        digits = chunk.lstrip(b"F") if width == PLUS_WIDTH else chunk
        if len(chunk) < width or not digits.isdigit():
            raise CommandError("15")
        return chunk.decode("ascii"), at + width + skipped

    def _long(self, data: bytes, at: int, seen: Values) -> tuple[int, int]:
        """(width, 1 when a delimiter follows) where a longer account may stand."""
        end = _end_of_fields(data, at)
        pan = any(seen[name] == _ISO_4 for name in self.formats)
        if pan and end - at in _PAN_WIDTHS and data[end : end + 1] == b";":
            # A ``;`` may also end the whole request: then what comes after the account is before.
            rest = _end_of_fields(data, end + 1) - (end + 1)
            if rest >= (self.after or 0):
                return end - at, 1
        width = ACCOUNT_WIDTH if self.after is None else end - at - self.after
        if (pan and width in _PAN_WIDTHS) or (not pan and width == PLUS_WIDTH):
            return width, 0
        return ACCOUNT_WIDTH, 0

    def write(self, value: str, seen: Values) -> bytes:
        allowed = {ACCOUNT_WIDTH}
        if any(seen[name] == _ISO_4 for name in self.formats) and self.after is not None:
            allowed |= set(_PAN_WIDTHS)
        elif any(seen[name] == _PLUS for name in self.formats) and self.after is not None:
            allowed.add(PLUS_WIDTH)
        if len(value) not in allowed:
            raise ValueError("the account has another length than its field")
        return value.encode("ascii")


@dataclass(frozen=True, slots=True)
class PinField:
    """A PIN of unknown length: what stands before the last ``after`` characters of the fields.

    Under the LMK it is one digit longer than the PIN; clear it is filled with F to that length. A
    ``;`` before it is skipped.
    """

    after: int
    clear: bool = False

    @property
    def notation(self) -> str:
        return "PIN, F to one character more" if self.clear else "PIN under LMK, one digit more"

    def read(self, data: bytes, at: int, seen: Values) -> tuple[str, int]:
        start = at + 1 if data[at : at + 1] == b";" else at
        end = _end_of_fields(data, start) - self.after
        chunk = data[start : max(start, end)].upper()
        digits = chunk.rstrip(b"F") if self.clear else chunk
        if not digits.isdigit():
            raise CommandError("15")
        return chunk.decode("ascii"), end

    def write(self, value: str, seen: Values) -> bytes:
        return value.encode("ascii")


@dataclass(frozen=True, slots=True)
class ValidationData:
    """12 characters: hex, and one N where the account's last five digits go."""

    @property
    def notation(self) -> str:
        return "12A with one N"

    def read(self, data: bytes, at: int, seen: Values) -> tuple[str, int]:
        chunk = data[at : at + ACCOUNT_WIDTH].upper()
        hexes = chunk.translate(None, b"0123456789ABCDEF")
        if len(chunk) < ACCOUNT_WIDTH or hexes != b"N":
            raise CommandError("15")
        return chunk.decode("ascii"), at + ACCOUNT_WIDTH

    def write(self, value: str, seen: Values) -> bytes:
        if len(value) != ACCOUNT_WIDTH:
            raise ValueError("12 characters are needed")
        return value.encode("ascii")
