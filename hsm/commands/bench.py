"""What a command's function works with, and the list of all functions."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from hsm import primitives
from hsm.block_header import Attributes
from hsm.codec import NO_TAIL, Command, Tail
from hsm.errors import CommandError
from hsm.keys import BLOCK_TYPE, Cryptogram
from hsm.kinds import Values
from hsm.lmk import HeldKey, Lmk, NewKey, ParityError
from hsm.policy import Policy
from hsm.slots import Slots
from hsm.uses import Use

FIRMWARE: Final = "YYT0-0001"
"""Nine characters, as NC and NO show them; the leading YYT says: software, no certified device."""


class Judge:
    """Who counts failed verifications by clear key (one key has many cryptograms), and of PINs by
    key and account (else empty). This one counts nothing: the test LMK's."""

    def open(self, key: bytes, account: str = "") -> bool:
        """Whether this key may be used to verify now."""
        return True

    def note(self, key: bytes, passed: bool, account: str = "") -> None:
        """One verification's end."""


@dataclass(slots=True)
class Service:
    """What all benches of one daemon share."""

    slots: Slots
    policy: Policy
    entropy: Callable[[int], bytes]
    judge: Judge = field(default_factory=Judge)
    authorised: Callable[[str], bool] = lambda _command: False
    """Whether officers have authorised this command now."""
    cancel_authority: Callable[[], None] = lambda: None
    """RA."""


@dataclass(frozen=True, slots=True)
class Bench:
    """One LMK on the bench for one command, the command's tail, and what the service shares."""

    lmk: Lmk
    service: Service
    tail: Tail = NO_TAIL

    @property
    def policy(self) -> Policy:
        """The rules."""
        return self.service.policy

    @property
    def entropy(self) -> Callable[[int], bytes]:
        """``entropy(n)``: n random bytes."""
        return self.service.entropy

    @property
    def attributes(self) -> Attributes | None:
        """Behind ``#``: the header a new key block shall have."""
        return self.tail.attributes

    def held(self, use: Use, key: Cryptogram, where: str, parity_code: str = "10") -> HeldKey:
        """The key for this use. CommandError ``parity_code``: it is not one of ours; A1 … A8: its
        key block does not allow it. ``where`` names the field."""
        try:
            return self.lmk.hold(use, key, where)
        except ParityError:
            raise CommandError(parity_code, where) from None

    def key(self, use: Use, key: Cryptogram, where: str, parity_code: str = "10") -> bytes:
        """:meth:`held`, and of it only the clear bytes of a DES or triple DES key."""
        held = self.held(use, key, where, parity_code)
        if held.algorithm not in "DT":
            raise CommandError("A7", where)
        return held.clear

    def keep(self, new: NewKey, clear: bytes) -> Cryptogram:
        """A key under the LMK: by type and scheme, or as a key block (scheme S)."""
        return self.lmk.keep(new, clear, self.service.entropy)

    def new_key(self, length: int) -> bytes:
        """A random DES key of odd parity, neither weak nor with equal halves.

        CommandError 75 after four weak ones in a row: then the source of randomness is broken.
        """
        for _ in range(4):
            clear = primitives.odd_parity(self.entropy(length))
            if not primitives.is_weak(clear):
                return clear
        raise CommandError("75")

    def verdict(self, key: bytes, passed: bool, account: str = "") -> None:
        """A verification's end with a clear key, of a PIN with its account: counted; CommandError
        01 when it failed, 39 whatever it is when too many have failed lately."""
        judge = self.service.judge
        if not judge.open(key, account):
            raise CommandError("39")
        judge.note(key, passed, account)
        if not passed:
            raise CommandError("01")


class Warned(dict[str, Any]):
    """Values answered with another code than 00: done, but look."""

    code = "01"


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
    """A known key type that has no business in this command is error 28. ``FFF``, a key block,
    always passes: its own header is looked at when it is unwrapped."""
    if key_type not in allowed and key_type != BLOCK_TYPE:
        raise CommandError("28", "key_type")
