"""Host commands as declared tables of fields; parsing, building and errors all come from them.

Sans-IO. A frame is ``header | command (2) | data | tail``, its answer ``header | code (2) | error
(2) | fields | [0x19 trailer]``; the two length bytes around both belong to the transport. What a
tail holds stands in hsm.tail. A *part* of a table is a field (a name and a kind, see hsm.kinds) or
an option (fields behind a delimiter). What does not fit is a CommandError that names the field.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from hsm.errors import CommandError
from hsm.fused import Fused, fuse
from hsm.kinds import Key, Kind, Values
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
    response_code: str = field(init=False)
    """The second letter + 1: A0 → A1, NC → ND."""
    keys: tuple[str, ...] = field(init=False)
    """Names of the request's keys, in order."""
    names: frozenset[str] = field(init=False)
    """Names of all fields of both tables."""
    request_steps: tuple[Any, ...] = field(init=False, repr=False, compare=False)
    response_steps: tuple[Any, ...] = field(init=False, repr=False, compare=False)
    """The tables as they are read: neighbours of fixed form at once (hsm.fused)."""

    def __post_init__(self) -> None:
        # Worked out once: they are needed for every frame.
        known = {
            "response_code": self.code[0] + chr(ord(self.code[1]) + 1),
            "keys": tuple(f.name for f in _fields(self.request) if isinstance(f.kind, Key)),
            "names": frozenset(f.name for f in _fields((*self.request, *self.response))),
            "request_steps": fuse(self.request),
            "response_steps": fuse(self.response),
        }
        for name, value in known.items():
            object.__setattr__(self, name, value)


def _fields(parts: tuple[Part, ...]) -> list[Field]:
    return [f for part in parts for f in (part.fields if isinstance(part, Option) else (part,))]


def _read(steps: tuple[Any, ...], data: bytes, seen: Values, found: Values) -> int:
    """Read ``steps`` into ``found`` (and ``seen``, which they may depend on); where they end."""
    at = 0
    text = data.decode("latin-1")
    for step in steps:
        if isinstance(step, Fused):
            end = step.read(text, at, seen, found)
            if end < 0:
                end = _read_fields(step.fields, data, at, seen, found)
            at = end
            continue
        if step.when is not None and not step.when(seen):
            continue
        if isinstance(step, Option):
            if not data.startswith(step.lead, at):
                if step.required:
                    raise CommandError("15", step.fields[0].name)
                continue
            at = _read_fields(step.fields, data, at + len(step.lead), seen, found)
        elif not step.starts or (at < len(data) and data[at] in step.starts):
            at = _read_fields((step,), data, at, seen, found)
    return at


def _read_fields(
    fields: tuple[Field, ...], data: bytes, at: int, seen: Values, found: Values
) -> int:
    """Read fields one by one from ``at``; where they end."""
    for one in fields:
        try:
            value, at = one.kind.read(data, at, seen)
        except CommandError as error:
            raise CommandError(error.code, one.name) from None
        seen[one.name] = found[one.name] = value
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
            for one in part.fields:
                out.append(one.kind.write(values[one.name], values))
        elif not part.starts or part.name in values:
            out.append(part.kind.write(values[part.name], values))
    return b"".join(out)


def parse_request(command: Command, data: bytes) -> tuple[Values, Tail]:
    """Read what follows the command code. Raises CommandError.

    Whatever is left over when all fields are read must be a tail, else it is error 15.
    """
    values: Values = {}
    at = _read(command.request_steps, data, values, values)
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
    return f"{command.response_code}{error}".encode("ascii") + trailer


def parse_response(command: Command, data: bytes, known: Values) -> tuple[str, Values, bytes]:
    """Error code, fields and trailer of the answer to a request with the values ``known``.

    Raises CommandError 15 when it is no answer to this command.
    """
    error = data[2:4]
    if data[:2] != command.response_code.encode("ascii") or len(error) < 2 or not error.isascii():
        raise CommandError("15", "response code")
    code, at, found = error.decode("ascii"), 0, Values()
    if code in command.answered:
        at = _read(command.response_steps, data[4:], dict(known), found)
    rest = data[4 + at :]
    if rest and not rest.startswith(TRAILER):
        raise CommandError("15", "data after the last field")
    return code, found, rest
