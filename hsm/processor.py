"""From one request frame to one answer frame. No sockets, no clock: the daemon's inside."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from hsm import codec
from hsm.codec import Command
from hsm.commands import FUNCTIONS, Bench, Function, Warned
from hsm.errors import CommandError
from hsm.lmk import VariantLmk
from hsm.policy import Policy

DEFAULT_LMK = "00"


class Answered(NamedTuple):
    """An answer, and what may be said about it in logs and metrics."""

    frame: bytes
    command: str
    """The command's code when it is one we know, else ``other``."""
    error: str
    where: str = ""
    """The field at fault, by name."""


class Processor:
    """Answers every frame, whatever it holds, with an error code at worst."""

    def __init__(
        self,
        lmks: Mapping[str, VariantLmk],
        policy: Policy,
        entropy: Callable[[int], bytes],
        fault: Callable[[str, Exception], None] | None = None,
    ) -> None:
        """``lmks`` by two-digit id, ``00`` being the default. ``entropy(n)`` gives n random bytes.
        ``fault`` hears of what should never happen, to log its type and place, not its text."""
        self._benches = {name: Bench(lmk, policy, entropy) for name, lmk in lmks.items()}
        self._policy = policy
        self._fault = fault

    def answer(self, frame: bytes) -> Answered:
        """The answer to one frame (without its two length bytes). Raises nothing."""
        start = self._policy.header_length
        header, code, data = frame[:start], frame[start : start + 2], frame[start + 2 :]
        if len(code) < 2:
            return Answered(header + b"ZZ51", "other", "51")
        known = FUNCTIONS.get(code.decode("latin-1"))
        if known is None or code.decode("latin-1") in self._policy.disabled:
            name = "other" if known is None else known[0].code
            back = bytes((code[0], (code[1] + 1) % 256)) + b"68"
            return Answered(header + back + codec.guess_trailer(data), name, "68")
        return self._perform(header, *known, data)

    def _perform(
        self, header: bytes, command: Command, function: Function, data: bytes
    ) -> Answered:
        trailer = codec.guess_trailer(data)
        try:
            values, tail = codec.parse_request(command, data)
            trailer = tail.trailer
            result = function(values, self._bench(tail.lmk_id))
            error = "01" if isinstance(result, Warned) else "00"
            back = codec.build_response(command, error, result, values, trailer)
            return Answered(header + back, command.code, error)
        except CommandError as refused:
            error, where = refused.code, refused.where
        except Exception as broken:
            # The boundary of the service: a fault of ours answers 41 and must not end it, and its
            # text, which might hold key material, must not reach a log.
            error, where = "41", ""
            if self._fault is not None:
                self._fault(command.code, broken)
        back = codec.build_error(command, error, trailer)
        return Answered(header + back, command.code, error, where)

    def _bench(self, lmk_id: str) -> Bench:
        bench = self._benches.get(lmk_id or DEFAULT_LMK)
        if bench is None:
            raise CommandError("13", "lmk_id")
        return bench
