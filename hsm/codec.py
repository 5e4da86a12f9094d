"""Host commands as declared tables of fields; parsing, building and errors all come from them.

Sans-IO. A frame is ``header | command (2) | data | tail``, its answer ``header | code (2) | error
(2) | fields | [0x19 trailer]``; the two length bytes around both belong to the transport. What a
tail holds stands in hsm.tail. A *part* of a table is a field (a name and a kind, see hsm.kinds) or
an option (fields behind a delimiter). What does not fit is a CommandError that names the field.
"""

from collections.abc import Callable
from dataclasses import dataclass

from hsm.errors import CommandError
from hsm.kinds import Kind, Values
from hsm.tail import NO_TAIL, TRAILER, Tail, guess_trailer, read_tail, write_tail

__all__ = [
    "NO_TAIL",
    "Command",
    "Field",
    "Option",
    "Part",
    "Tail",
    "build_error",
    "build_request",
    "build_response",
    "guess_trailer",
    "parse_request",
    "parse_response",
]

When = Callable[[Values], bool]


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
    attributed: bool = False
    """Whether ``#`` attributes of a new key block, or export attributes, may follow."""

    @property
    def response_code(self) -> str:
        """The second letter + 1: A0 → A1, NC → ND."""
        return self.code[0] + chr(ord(self.code[1]) + 1)


def _read(parts: tuple[Part, ...], data: bytes, seen: Values, found: Values) -> int:
    """Read ``parts`` into ``found`` (and ``seen``, which they may depend on); where they end."""
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
                value, at = field.kind.read(data, at, seen)
            except CommandError as error:
                raise CommandError(error.code, field.name) from None
            seen[field.name] = found[field.name] = value
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
    at = _read(command.request, data, values, values)
    if at == len(data):
        return values, NO_TAIL
    tail = read_tail(data[at:], attributed=command.attributed)
    if tail is None:
        raise CommandError("15", "data after the last field")
    return values, tail


def build_request(command: Command, values: Values, tail: Tail = NO_TAIL) -> bytes:
    """The command code and all that follows it. ValueError or KeyError: the caller's mistake."""
    return command.code.encode("ascii") + _write(command.request, values) + write_tail(tail)


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
    code, at, found = error.decode("ascii"), 0, Values()
    if code in command.answered:
        at = _read(command.response, data[4:], dict(known), found)
    rest = data[4 + at :]
    if rest and not rest.startswith(TRAILER):
        raise CommandError("15", "data after the last field")
    return code, found, rest
