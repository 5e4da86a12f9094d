"""Host commands as declared tables of fields; parsing, building and errors all come from them.

Sans-IO. A frame is ``header | command (2) | data | [%NN] | [0x19 trailer]``, its answer ``header |
code (2) | error (2) | fields | [0x19 trailer]``; the two length bytes around both belong to the
transport. A *part* of a table is a field (a name and a kind) or an option (fields behind a
delimiter). A kind reads a value at a place and writes it there; both may look at the values
before it, because some widths depend on them. What does not fit its kind is a CommandError with
the kind's code, 15 unless it says otherwise, and names the field.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, Protocol

from hsm.errors import CommandError
from hsm.keys import SCHEME_BYTES, Cryptogram

Values = dict[str, Any]
"""Field name → value: ``str`` for digits, hex and choices, Cryptogram for keys, ``bytes`` for
data. Never logged: it may hold clear data."""

When = Callable[[Values], bool]
Width = int | Callable[[Values], int]

TRAILER: Final = b"\x19"
TRAILER_MAX: Final = 32
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
    """A key field: a scheme tag and hex, or ``untagged`` hex characters without a tag."""

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
            if scheme not in SCHEME_BYTES:
                raise CommandError("26")
            width = 2 * SCHEME_BYTES[scheme]
        chunk = _take(data, start, width)
        if chunk.translate(None, _HEX):
            raise CommandError("15")
        return Cryptogram(scheme, chunk.decode("ascii").upper()), start + width

    def write(self, value: Cryptogram, seen: Values) -> bytes:
        width = self.untagged if isinstance(self.untagged, int) else self.untagged(seen)
        if len(value.hex) != (2 * SCHEME_BYTES[value.scheme] if value.scheme else width):
            raise ValueError("the key has another length than its field")
        return (value.scheme + value.hex).encode("ascii")


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


@dataclass(frozen=True, slots=True)
class Field:
    """A named value. Present when ``when`` says so, or, with ``starts``, when the next byte is one
    of these (and then it is simply absent from the values otherwise)."""

    name: str
    kind: Kind
    when: When | None = None
    starts: bytes = b""


@dataclass(frozen=True, slots=True)
class Option:
    """Fields behind a delimiter: all there, or none where they are not ``required``."""

    lead: bytes
    fields: tuple[Field, ...]
    when: When | None = None
    required: bool = False


Part = Field | Option


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """One host command. Response fields follow only the error codes in ``answered``."""

    code: str
    title: str
    request: tuple[Part, ...]
    response: tuple[Part, ...] = ()
    answered: frozenset[str] = frozenset({"00"})
    idempotent: bool = True

    @property
    def response_code(self) -> str:
        """The second letter + 1: A0 → A1, NC → ND."""
        return self.code[0] + chr(ord(self.code[1]) + 1)


class Tail(NamedTuple):
    """What may follow the data of any request."""

    lmk_id: str = ""
    trailer: bytes = b""
    """With its leading 0x19; it goes back as it came."""


NO_TAIL: Final = Tail()


def _read(parts: tuple[Part, ...], data: bytes, seen: Values) -> int:
    """Read ``parts`` into ``seen``; where they end."""
    at = 0
    for part in parts:
        if part.when is not None and not part.when(seen):
            continue
        if isinstance(part, Option):
            if not data.startswith(part.lead, at):
                if part.required:
                    raise CommandError("15", part.fields[0].name)
                continue
            at += len(part.lead)
            fields = part.fields
        else:
            if part.starts and (at >= len(data) or data[at] not in part.starts):
                continue
            fields = (part,)
        for field in fields:
            try:
                seen[field.name], at = field.kind.read(data, at, seen)
            except CommandError as error:
                raise CommandError(error.code, field.name) from None
    return at


def _write(parts: tuple[Part, ...], values: Values) -> bytes:
    out: list[bytes] = []
    for part in parts:
        if part.when is not None and not part.when(values):
            continue
        if isinstance(part, Option):
            if part.fields[0].name not in values and not part.required:
                continue
            out.append(part.lead)
            fields = part.fields
        else:
            if part.starts and part.name not in values:
                continue
            fields = (part,)
        out.extend(field.kind.write(values[field.name], values) for field in fields)
    return b"".join(out)


def parse_request(command: Command, data: bytes) -> tuple[Values, Tail]:
    """Read what follows the command code. Raises CommandError.

    Whatever is left over when all fields are read must be a tail, else it is error 15.
    """
    values: Values = {}
    at = _read(command.request, data, values)
    tail = _read_tail(data[at:]) if at < len(data) else NO_TAIL
    if tail is None:
        raise CommandError("15", "data after the last field")
    return values, tail


def _read_tail(rest: bytes) -> Tail | None:
    lmk_id = ""
    if rest.startswith(b"%"):
        digits = rest[1:3]
        if len(digits) < 2 or not digits.isdigit():
            raise CommandError("13", "lmk_id")
        lmk_id, rest = digits.decode("ascii"), rest[3:]
    if not rest:
        return Tail(lmk_id)
    if rest.startswith(TRAILER) and len(rest) <= 1 + TRAILER_MAX:
        return Tail(lmk_id, rest)
    return None


def guess_trailer(data: bytes) -> bytes:
    """The trailer of a request that could not be read: from the last 0x19 near the end."""
    at = data.rfind(TRAILER, max(0, len(data) - 1 - TRAILER_MAX))
    return data[at:] if at >= 0 else b""


def build_request(command: Command, values: Values, tail: Tail = NO_TAIL) -> bytes:
    """The command code and all that follows it. ValueError or KeyError: the caller's mistake."""
    lmk = f"%{tail.lmk_id}".encode("ascii") if tail.lmk_id else b""
    return command.code.encode("ascii") + _write(command.request, values) + lmk + tail.trailer


def build_response(
    command: Command, error: str, values: Values, known: Values, trailer: bytes = b""
) -> bytes:
    """Response code, error, fields and trailer.

    ``known`` are the request's values: some fields of an answer depend on them.
    """
    fields = _write(command.response, {**known, **values})
    return build_error(command, error) + fields + trailer


def build_error(command: Command, error: str, trailer: bytes = b"") -> bytes:
    """An answer without fields."""
    return (command.response_code + error).encode("ascii") + trailer


def parse_response(command: Command, data: bytes, known: Values) -> tuple[str, Values, bytes]:
    """Error code, fields and trailer of the answer to a request with the values ``known``.

    Raises CommandError 15 when it is no answer to this command.
    """
    error = data[2:4]
    if data[:2] != command.response_code.encode("ascii") or len(error) < 2 or not error.isascii():
        raise CommandError("15", "response code")
    code, at, seen = error.decode("ascii"), 0, dict(known)
    if code in command.answered:
        at = _read(command.response, data[4:], seen)
    rest = data[4 + at :]
    if rest and not rest.startswith(TRAILER):
        raise CommandError("15", "data after the last field")
    names = _names(command.response) if code in command.answered else ()
    return code, {name: seen[name] for name in names if name in seen}, rest


def _names(parts: tuple[Part, ...]) -> tuple[str, ...]:
    return tuple(
        field.name
        for part in parts
        for field in (part.fields if isinstance(part, Option) else (part,))
    )
