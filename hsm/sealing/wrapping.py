"""How an LMK works that is not in this process: its keys are asked for by label.

A variant LMK is a key of 16 bytes per (key type, scheme, block): the LMK pair with the masks of
variant and scheme already in it, since a token cannot XOR a mask into a key it will not show.
An AES key-block LMK is two keys; its protocol is :class:`hsm.keyblock.BlockCipher`.
"""

from typing import Final, Protocol

PIN_LABEL: Final = "02-03"
"""The pair under which PINs rest between commands."""

MASKED_BLOCKS: Final = {"U": 2, "T": 3}
"""Schemes with a mask for each block of a key; the others wrap every block under one key."""


class Wrapping(Protocol):
    """The wrapping keys of a variant LMK at work: triple DES, ECB, whole blocks of 8 bytes."""

    def encrypt(self, label: str, data: bytes) -> bytes:
        """Under the key of this label. TokenError: the token failed or knows no such label."""
        ...

    def decrypt(self, label: str, data: bytes) -> bytes:
        """Undo :meth:`encrypt`."""
        ...


def wrapping_label(key_type: str, scheme: str, block: int) -> str:
    """The label of the key for the ``block``-th 8 bytes of a key of this type and scheme.

    >>> wrapping_label("001", "U", 1), wrapping_label("001", "X", 1)
    ('001:U1', '001:-0')
    """
    return f"{key_type}:{scheme}{block}" if scheme in MASKED_BLOCKS else f"{key_type}:-0"
