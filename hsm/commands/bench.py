"""What a command's function works with, and the list of all functions."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from hsm import primitives
from hsm.codec import Command
from hsm.errors import CommandError
from hsm.keys import Cryptogram
from hsm.kinds import Values
from hsm.lmk import ParityError, VariantLmk
from hsm.policy import Policy

FIRMWARE: Final = "YYT0-0001"
"""Nine characters, as NC and NO show them; the leading YYT says: software, no certified device."""


@dataclass(frozen=True, slots=True)
class Bench:
    """One LMK on the bench, the rules, and where randomness comes from."""

    lmk: VariantLmk
    policy: Policy
    entropy: Callable[[int], bytes]

    def key(self, key_type: str, key: Cryptogram, parity_code: str = "10") -> bytes:
        """The clear key of this type. CommandError ``parity_code``: it is not one of ours."""
        try:
            return self.lmk.unwrap(key_type, key)
        except ParityError:
            raise CommandError(parity_code) from None

    def new_key(self, length: int) -> bytes:
        """A random key of odd parity, neither weak nor with equal halves.

        CommandError 75 after four weak ones in a row: then the source of randomness is broken.
        """
        for _ in range(4):
            clear = primitives.odd_parity(self.entropy(length))
            if not primitives.is_weak(clear):
                return clear
        raise CommandError("75")


class Warned(dict[str, Any]):
    """Values answered with 01 instead of 00: done, but look."""


Function = Callable[[Values, Bench], Values]

FUNCTIONS: Final[dict[str, tuple[Command, Function]]] = {}
"""Command code → its table and its function."""


def performs(command: Command) -> Callable[[Function], Function]:
    """Register a function as what a declared command does."""

    def register(function: Function) -> Function:
        FUNCTIONS[command.code] = (command, function)
        return function

    return register


def hex_of(data: bytes) -> str:
    """Upper-case hex, as every field of the protocol has it."""
    return data.hex().upper()


def allow(key_type: str, allowed: tuple[str, ...]) -> None:
    """A known key type that has no business in this command is error 28."""
    if key_type not in allowed:
        raise CommandError("28", "key_type")
