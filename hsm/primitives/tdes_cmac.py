"""CMAC over triple DES (NIST SP 800-38B): the MAC of TR-31 version B and of its key derivation."""

from typing import Final

from hsm.primitives.des import BLOCK, ecb_encrypt, xor
from hsm.primitives.macs import cbc_mac

_ROUND: Final = 0x1B
_MASK: Final = (1 << 64) - 1


def tdes_cmac(key: bytes, data: bytes) -> bytes:
    """CMAC over any bytes: 8 bytes. Example: SP 800-38B, D.4 and D.5.

    >>> key = bytes.fromhex("8AA83BF8CBDA10620BC1BF19FBB6CD58BC313D4A371CA8B5")
    >>> tdes_cmac(key, bytes.fromhex("6BC1BEE22E409F96")).hex().upper()
    '8E8F293136283797'
    """
    first = _doubled(int.from_bytes(ecb_encrypt(key, bytes(BLOCK)), "big"))
    whole = bool(data) and not len(data) % BLOCK
    mask = first if whole else _doubled(first)
    if not whole:
        data += b"\x80" + bytes(-(len(data) + 1) % BLOCK)
    last = xor(data[-BLOCK:], mask.to_bytes(BLOCK, "big"))
    return cbc_mac(key, data[:-BLOCK] + last)


def _doubled(value: int) -> int:
    """Twice ``value`` in GF(2^64)."""
    return ((value << 1) & _MASK) ^ (_ROUND if value >> 63 else 0)
