"""PINs between commands: encrypted under the LMK, digits in, digits out, one digit longer.

The field is FF1 (NIST SP 800-38G) over ``fill | PIN | zeros`` with the account as tweak: the first
digit counts the zeros. So it has the length that clients of this protocol reserve, means nothing
with another account, and a changed one is found out nine times in ten (error 14). It is
deterministic: who may encrypt PINs of his choice (BA) can look others up, therefore BA and NG are
off. This form is this project's own; no other device reads it.
"""

from typing import Final

from hsm import primitives
from hsm.errors import CommandError
from hsm.primitives import PIN_LENGTH_MAX, PIN_LENGTH_MIN

WIDTHS: Final = range(PIN_LENGTH_MIN + 1, PIN_LENGTH_MAX + 2)
"""Digits a field may have."""

_LABEL: Final = b"FF1 for PINs under LMK 02-03"


def seal_pin(pin_key: bytes, pin: str, account: str, width: int = 0) -> str:
    """The PIN under the LMK's ``pin_key``: ``width`` digits, else one more than the PIN has."""
    zeros = max(0, width - 1 - len(pin))
    return primitives.ff1_encrypt(
        _key(pin_key), account.encode("ascii"), f"{zeros}{pin}{'0' * zeros}"
    )


def open_pin(pin_key: bytes, field: str, account: str) -> str:
    """Undo :func:`seal_pin`. CommandError 14: not a PIN of this account under this LMK."""
    if len(field) not in WIDTHS:
        raise CommandError("14", "pin")
    plain = primitives.ff1_decrypt(_key(pin_key), account.encode("ascii"), field)
    end = len(plain) - int(plain[0])
    pin = plain[1:end]
    if plain[end:].strip("0") or not PIN_LENGTH_MIN <= len(pin) <= PIN_LENGTH_MAX:
        raise CommandError("14", "pin")
    return pin


def _key(pin_key: bytes) -> bytes:
    """The AES key made of the LMK's DES pair."""
    return primitives.aes_cmac(pin_key, _LABEL)
