"""MAC rules: the part that needs no key. The keyed part is the HSM's (M6, M8).

UnionPay's ECB rule (银联 ECB 算法) looks like a special command and is none: fold the message,
write the fold as 16 hexadecimal characters, and what is left is an ordinary CBC-MAC over these 16
characters (ISO 9797-1 algorithm 1), whose first 4 bytes in hexadecimal are field 64.
"""

import struct
from collections.abc import Callable, Mapping
from functools import reduce
from operator import xor

from channels.iso8583.dialect import MacRule

BLOCK_BYTES = 8
MAC_CHARS = 8
BLANK = "0" * MAC_CHARS
"""Holds the MAC's place while the message is encoded."""


def cup_fold(mab: bytes) -> bytes:
    """The 16 upper-case hexadecimal characters that the key works on.

    ``mab`` is every byte from the message type to the last field before the MAC; it is padded
    with zeros to whole blocks, which changes nothing in an exclusive or.

    >>> cup_fold(bytes.fromhex("0102030405060708FF"))
    b'FE02030405060708'
    """
    blocks = -(-len(mab) // BLOCK_BYTES)
    words = struct.unpack(f">{blocks}Q", mab.ljust(blocks * BLOCK_BYTES, b"\0"))
    return b"%016X" % reduce(xor, words, 0)


FOLDS: Mapping[MacRule, Callable[[bytes], bytes]] = {MacRule.CUP_ECB: cup_fold}
"""What the key service is given, by MAC rule."""
