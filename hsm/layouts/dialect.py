"""The tables as one profile has them: what differs between a real box and its imitators.

Daemon and client take the same: ``tables(profile)`` holds the commands that differ from
``COMMANDS``, none for a payShield that speaks ASCII.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Final

from hsm.codec import Command, Field, Option, Part
from hsm.kinds import Bytes, Counted, Digits, Hex, Kind, Rest, Values
from hsm.layouts import COMMANDS, china, macs, status
from hsm.profile import PAYSHIELD, Profile

_PAGE: Final = "cp037"
TO_ASCII: Final = bytes(range(256)).decode(_PAGE).encode("latin-1")
"""EBCDIC byte → the byte of the same character; every byte has one."""
TO_EBCDIC: Final = bytes(range(256)).decode("latin-1").encode(_PAGE)


def tables(profile: Profile) -> dict[str, Command]:
    """Command code → table, of the commands that this profile has in another form."""
    found = {command.code: command for command in _trapped(profile)}
    if profile.character_set == "ebcdic":
        found = {code: _raw(found.get(code, command)) for code, command in COMMANDS.items()}
    return found


def _trapped(profile: Profile) -> Iterable[Command]:
    in_bytes = profile.mac_hex_length == "bytes"
    if in_bytes or profile.mac_answer_length:
        request = macs.mac_request(Counted("form", in_bytes=in_bytes))
        mac: Kind = Announced(macs.MAC_HEX) if profile.mac_answer_length else macs.MAC_HEX
        yield replace(macs.M6, request=request, response=(macs.CHAIN, Field("mac", mac)))
        yield replace(macs.M8, request=(*request, macs.CLAIMED))
    if profile.ms_hex_length != PAYSHIELD.ms_hex_length:
        yield replace(china.MS, request=china.mab_request(Counted("form")))
    if profile.no_sockets_digits != PAYSHIELD.no_sockets_digits:
        sockets = Digits(profile.no_sockets_digits)
        parts = (replace(p, kind=sockets) if p.name == "sockets" else p for p in _fields(status.NO))
        yield replace(status.NO, response=tuple(parts))


def _fields(command: Command) -> tuple[Field, ...]:
    return tuple(part for part in command.response if isinstance(part, Field))


@dataclass(frozen=True, slots=True)
class Announced:
    """A MAC behind the number of its characters, 4H; ``0000`` and no MAC while more follows."""

    mac: Hex

    @property
    def notation(self) -> str:
        return f"length 4H + {self.mac.notation}"

    def read(self, data: bytes, at: int, seen: Values) -> tuple[str, int]:
        if data[at : at + 4] == b"0000":
            return "", at + 4
        return self.mac.read(data, at + 4, seen)

    def write(self, value: str, seen: Values) -> bytes:
        if seen["mode"] in ("1", "2"):
            return b"0000"
        return b"%04X%b" % (len(value), self.mac.write(value, seen))


@dataclass(frozen=True, slots=True)
class Raw:
    """Binary data in a host's EBCDIC frame: it was translated with the frame, and here back."""

    kind: Any

    @property
    def notation(self) -> str:
        return str(self.kind.notation)

    def read(self, data: bytes, at: int, seen: Values) -> tuple[bytes, int]:
        value, end = self.kind.read(data, at, seen)
        return (value.translate(TO_EBCDIC) if self._binary(seen) else value), end

    def write(self, value: bytes, seen: Values) -> bytes:
        binary = self._binary(seen)
        return bytes(self.kind.write(value.translate(TO_ASCII) if binary else value, seen))

    def _binary(self, seen: Values) -> bool:
        form = self.kind.form if isinstance(self.kind, Counted) else ""
        return not form or seen[form] == "0"


def _raw(command: Command) -> Command:
    return replace(
        command,
        request=tuple(_raw_part(part) for part in command.request),
        response=tuple(_raw_part(part) for part in command.response),
    )


def _raw_part(part: Part) -> Part:
    if isinstance(part, Option):
        return replace(part, fields=tuple(_raw_field(field) for field in part.fields))
    return _raw_field(part)


def _raw_field(field: Field) -> Field:
    if isinstance(field.kind, Bytes | Counted | Rest):
        return replace(field, kind=Raw(field.kind))
    return field
