"""What the switch asks of a key service (HSM), and of the key store behind its texts.

Keys are cryptograms under the LMK, or names of the key store (switch.model.held_key): never clear.
"""

from typing import Protocol

from msgspec import Struct

from switch.model.mac_form import CUP, MacForm
from switch.model.secret import Secret


class KeyRing(Protocol):
    """The key store as the key service's client sees it: texts in, cryptograms out, no waiting."""

    def resolve(self, text: str) -> str:
        """``key:NAME`` → what is held under it; a text of before a change of LMK → its successor;
        any other text → itself. KeyServiceError ``name``: no such key."""
        ...

    def require_valid(self, text: str) -> None:
        """Before what begins something new. KeyServiceError ``expired`` names the key."""
        ...


class KeyServiceError(Exception):
    """The HSM could not do it. ``code`` is the two-character error, or ``timeout`` / ``down``."""

    def __init__(self, command: str, code: str, text: str) -> None:
        super().__init__(f"{command}: {code} {text}")
        self.command = command
        self.code = code
        self.text = text


class IssuedKey(Struct, frozen=True, kw_only=True):
    """A working key that we made for somebody else."""

    key: str
    """Under the LMK, for us."""
    cryptogram: str
    """Under the master key of whoever gets it: ``X`` + 32 hex, plain ECB."""
    check_value: str
    """16 hex; field 62 carries the first 8."""


class KeyService(Protocol):
    """Host commands by what they do. Every method fails as KeyServiceError."""

    async def translate_pin(
        self, source_tpk: str, target_zpk: str, pin_block: Secret[str], account12: Secret[str]
    ) -> Secret[str]:
        """CA: from the pad's key to the bank's PIK, ISO format 0 both (16 hex)."""
        ...

    async def make_mac(self, mak: str, data: bytes, form: MacForm = CUP) -> bytes:
        """M6, type TAK → as many upper-case hex characters as the form says. With CUP ``data`` is
        the 16 characters of the folded message; with any other form any bytes, at least one."""
        ...

    async def check_mac(self, mak: str, data: bytes, mac: bytes, form: MacForm = CUP) -> bool:
        """M8. False is *verification failed*; anything else wrong raises KeyServiceError."""
        ...

    async def import_key(self, key_type: str, zmk: str, cryptogram: str) -> tuple[str, str]:
        """A6: (key under LMK, check value of 6 hex). ``cryptogram`` is ``X``/``U``/``Z`` + hex or
        16 hex for a single-length key; under an SM4 master key 32 hex of an SM4 key."""
        ...

    async def issue_key(self, key_type: str, zmk: str) -> IssuedKey:
        """A0 mode 1: a fresh double-length key (under an SM4 master key: SM4), for a terminal that
        has ``zmk`` as its master key; ``002`` encrypts its PINs, ``003`` makes its MACs."""
        ...

    async def check_value(self, key_type: str, key: str) -> str:
        """BU: 16 hex."""
        ...

    async def protect(self, clear: Secret[str]) -> str:
        """M0 under the vault's DEK: text → ``v1:…`` for the journal (PAN)."""
        ...

    async def reveal(self, protected: str) -> Secret[str]:
        """M2: what :meth:`protect` made."""
        ...
