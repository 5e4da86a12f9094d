"""Check values of keys: what two sides compare to know that they hold the same key."""

from typing import Final

from hsm import primitives
from hsm.lmk import HeldKey

SHORT: Final = 3
"""Bytes that people compare; 8 bytes is the most a command answers."""


def check_value(key: HeldKey) -> bytes:
    """Eight bytes. DES: eight zero bytes under the key. AES: CMAC of a zero block, as
    X9.24-1:2017 has it. SM4: a zero block under the key, as Chinese banks have it."""
    if key.algorithm in "DT":
        return primitives.check_value(key.clear)
    if key.algorithm == "A":
        return primitives.aes_cmac(key.clear, bytes(primitives.AES_BLOCK))[:8]
    return primitives.sm4_check_value(key.clear)[:8]
