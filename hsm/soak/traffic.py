"""What a soak says: sound commands of many kinds, spoiled ones, and their one right answer.

A processor in this process is the oracle. Only commands whose answer depends on nothing but the
request are asked; a spoiled one is a sound one with bytes changed, cut off or added.
"""

import random
from typing import Final

from hsm import codec, layouts, primitives
from hsm.bench.workload import Terminal, ca_values, mac_values, terminals
from hsm.codec import Command
from hsm.commands import Service
from hsm.kinds import Values
from hsm.lmk import published_test_lmks
from hsm.policy import open_policy
from hsm.processor import Processor
from hsm.slots import Slots

SOUND: Final = 1_024
"""Different sound commands; each is asked many times, under other headers."""

SPOILED_PER_HUNDRED: Final = 10

_MIX: Final = ("CA", "M6", "M8", "M8 wrong", "M0", "M2", "BU", "NC", "NO", "B2")
_MESSAGES: Final = (8, 16, 64, 300, 1_000, 4_000)


class Traffic:
    """A stream of (request, right answer), without headers and length bytes."""

    def __init__(self, seed: int, sockets_max: int) -> None:
        """``sockets_max``: the daemon's limit of connections, which NO tells."""
        self._random = random.Random(seed)  # noqa: S311 - a reproducible mix, no key
        service = Service(
            Slots(published_test_lmks()), open_policy(sockets_max=sockets_max), _no_entropy
        )
        self._oracle = Processor(service)
        self._terminals = terminals()
        self._sound = [self._answered(self._command(number)) for number in range(SOUND)]

    def next(self) -> tuple[bytes, bytes]:
        """Code and data of a request, and all of its answer behind the header."""
        choice = self._random
        body, answer = self._sound[choice.randrange(SOUND)]
        if choice.randrange(100) >= SPOILED_PER_HUNDRED:
            return body, answer
        return self._answered(self._spoiled(body))

    def _answered(self, body: bytes) -> tuple[bytes, bytes]:
        return body, self._oracle.answer(b"0000" + body).frame[4:]

    def _spoiled(self, body: bytes) -> bytes:
        """The command code stays: another one might be random, or change the service's state."""
        choice = self._random
        code, data = body[:2], bytearray(body[2:])
        how = choice.randrange(4)
        if how == 0:
            return code + bytes(data[: choice.randrange(len(data) + 1)])
        if how == 1:
            return code + bytes(data) + choice.randbytes(choice.randrange(1, 64))
        if how == 2 or not data:
            return code + choice.randbytes(choice.randrange(200))
        for _ in range(choice.randrange(1, 4)):
            data[choice.randrange(len(data))] = choice.randrange(256)
        return code + bytes(data)

    def _command(self, number: int) -> bytes:
        terminal = self._terminals[number % len(self._terminals)]
        kind = _MIX[number % len(_MIX)]
        command, values = self._asked(kind, terminal)
        return codec.build_request(command, values)

    def _asked(self, kind: str, terminal: Terminal) -> tuple[Command, Values]:
        choice = self._random
        message = choice.randbytes(choice.choice(_MESSAGES))
        if kind == "CA":
            return layouts.CA, ca_values(terminal)
        if kind == "M6":
            return layouts.M6, {**mac_values(terminal), "message": message}
        if kind.startswith("M8"):
            mac = primitives.retail_mac(terminal.tak, primitives.pad(message, 1))
            shown = mac[:4].hex().upper() if kind == "M8" else "00000000"
            return layouts.M8, {**mac_values(terminal), "message": message, "mac": shown}
        if kind in ("M0", "M2"):
            values = _cipher_values(terminal, message[: len(message) & ~7])
            return (layouts.M0 if kind == "M0" else layouts.M2), values
        if kind == "BU":
            key = terminal.under_lmk["zpk"]
            return layouts.BU, {"pair_code": "01", "length_flag": "1", "key": key}
        if kind == "NO":
            return layouts.NO, {"mode": "00"}
        return (layouts.B2, {"data": message}) if kind == "B2" else (layouts.NC, {})


def _cipher_values(terminal: Terminal, data: bytes) -> Values:
    return {
        "mode": "01",
        "form": "1",
        "output_form": "1",
        "key_type": "00B",
        "key": terminal.under_lmk["dek"],
        "iv": "0123456789ABCDEF",
        "data": data,
    }


def _no_entropy(_length: int) -> bytes:
    raise ValueError("no command of a soak needs randomness")
