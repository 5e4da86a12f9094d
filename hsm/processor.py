"""From one request frame to one answer frame. No sockets, no clock: the daemon's inside."""

from collections.abc import Callable
from typing import Final, NamedTuple

from hsm import codec
from hsm.codec import Command, Tail
from hsm.commands import FUNCTIONS, Bench, Function, Service, Warned
from hsm.errors import CommandError
from hsm.keys import Cryptogram
from hsm.kinds import Values
from hsm.layouts import dialect
from hsm.slots import NoLmk

UNLOCKED_ONLY: Final = "13"
"""What a locked service answers to everything but NC and NO: it has no LMK."""

_ALWAYS: Final = frozenset({"NC", "NO"})
_TOLD: Final = ("key_type", "pair_code", "kind", "scheme_lmk", "scheme_zmk", "check_value")
_ANYWHERE: Final = "FF"
"""LMK id in a key block that is under a ZMK."""


class Answered(NamedTuple):
    """An answer, and what may be said about it in logs, metrics and the audit."""

    frame: bytes
    command: str
    """The command's code when it is one we know, else ``other``."""
    error: str
    where: str = ""
    """The field at fault, by name."""
    facts: dict[str, str] = {}  # noqa: RUF012 - never changed
    """Type, scheme and check value of the key a command was about."""


class Processor:
    """Answers every frame, whatever it holds, with an error code at worst."""

    def __init__(
        self, service: Service, fault: Callable[[str, Exception], None] | None = None
    ) -> None:
        """``fault`` hears of what should never happen, to log its type and place, not its text."""
        self.service = service
        self._start = service.policy.header_length
        self._fault = fault
        profile = service.policy.profile
        spoken = dialect.tables(profile)
        self._functions = {
            code: (spoken.get(code, command), function)
            for code, (command, function) in FUNCTIONS.items()
        }
        self._ebcdic = profile.character_set == "ebcdic"
        self._told = {code: _told(command) for code, (command, _) in FUNCTIONS.items()}

    def answer(self, frame: bytes, allowed: frozenset[str] | None = None) -> Answered:
        """The answer to one frame (without its two length bytes). Raises nothing. ``allowed``:
        the commands this client may send; None: all."""
        if self._ebcdic:
            start = self._start
            inside = frame[:start] + frame[start:].translate(dialect.TO_ASCII)
            found = self._answer(inside, allowed)
            back = found.frame[:start] + found.frame[start:].translate(dialect.TO_EBCDIC)
            return found._replace(frame=back)
        return self._answer(frame, allowed)

    def _answer(self, frame: bytes, allowed: frozenset[str] | None) -> Answered:
        start = self._start
        header, code, data = frame[:start], frame[start : start + 2], frame[start + 2 :]
        if len(code) < 2:
            return Answered(header + b"ZZ51", "other", "51")
        name = code.decode("latin-1")
        known = self._functions.get(name)
        closed = name in self.service.policy.disabled
        if known is None or closed or (allowed is not None and name not in allowed):
            name = "other" if known is None else name
            back = bytes((code[0], (code[1] + 1) % 256)) + b"68"
            return Answered(header + back + codec.guess_trailer(data), name, "68")
        return self._perform(header, *known, data)

    def refuse(self, frame: bytes, error: str) -> bytes:
        """The frame answered with this error, and nothing done."""
        start = self._start
        header, rest = frame[:start], frame[start:]
        if self._ebcdic:
            rest = rest.translate(dialect.TO_ASCII)
        back = b"ZZ51"
        if len(rest) >= 2:
            back = bytes((rest[0], (rest[1] + 1) % 256)) + error.encode("ascii")
            back += codec.guess_trailer(rest[2:])
        return header + (back.translate(dialect.TO_EBCDIC) if self._ebcdic else back)

    def _perform(
        self, header: bytes, command: Command, function: Function, data: bytes
    ) -> Answered:
        values: Values = {}
        trailer = None
        try:
            self._permit(command.code)
            values, tail = codec.parse_request(command, data)
            trailer = tail.trailer
            bench = self._bench(command, tail, values)
            result = function(values, bench)
            error = result.code if isinstance(result, Warned) else "00"
            back = codec.build_response(command, error, result, values, trailer)
            facts = self._facts(command.code, values, result)
            if facts:
                facts["lmk_id"] = bench.lmk.lmk_id
                facts.update(_usage(result))
            return Answered(header + back, command.code, error, "", facts)
        except CommandError as refused:
            error, where = refused.code, refused.where
        except Exception as broken:
            # The boundary of the service: a fault of ours answers 41 and must not end it, and its
            # text, which might hold key material, must not reach a log.
            error, where = "41", ""
            if self._fault is not None:
                self._fault(command.code, broken)
        if trailer is None:
            trailer = codec.guess_trailer(data)
        back = codec.build_error(command, error, trailer)
        return Answered(
            header + back, command.code, error, where, self._facts(command.code, values, {})
        )

    def _permit(self, code: str) -> None:
        service = self.service
        if service.slots.locked and code not in _ALWAYS:
            raise CommandError(UNLOCKED_ONLY)
        if code in service.policy.needing_authority and not service.authorised(code):
            raise CommandError("17")

    def _bench(self, command: Command, tail: Tail, values: Values) -> Bench:
        """The bench with the LMK that ``%NN`` names, else the first key block's own, else 00."""
        service = self.service
        if command.code in _ALWAYS and service.slots.locked:
            return Bench(NoLmk(), service, tail)
        lmk_id = tail.lmk_id or _own_lmk(command, values)
        return Bench(service.slots.get(lmk_id), service, tail)

    def _facts(self, code: str, values: Values, result: Values) -> dict[str, str]:
        told = self._told[code]
        both = (values, result) if told else ()
        return {name: str(source[name]) for source in both for name in told if name in source}


def _usage(result: Values) -> dict[str, str]:
    """Of a key block that is answered: what its header says the key is for, and how it may go."""
    for value in result.values():
        if isinstance(value, Cryptogram) and value.in_block:
            return {"block_usage": value.body[5:7], "block_export": value.body[11:12]}
    return {}


def _own_lmk(command: Command, values: Values) -> str:
    for name in command.keys:
        key = values.get(name)
        if key is not None and key.scheme == "S":
            own: str = key.body[14:16]
            if own != _ANYWHERE:
                return own
    return ""


def _told(command: Command) -> tuple[str, ...]:
    """Of the facts that may be told, those that this command's fields can hold."""
    return tuple(name for name in _TOLD if name in command.names)
