"""Message authentication codes over block ciphers: CBC-MAC, X9.19, CMAC (ISO 9797-1), and the
keyless half of UnionPay's ECB MAC."""

from typing import Final

from hsm.primitives.block_ciphers import BlockCipherMode
from hsm.primitives.des import BLOCK, cbc_encrypt, ecb_encrypt, xor


def cbc_mac(key: bytes, data: bytes, iv: bytes = bytes(BLOCK)) -> bytes:
    """ISO 9797-1 algorithm 1 over whole blocks: 8 bytes. A double key means 3DES in every step.

    The keyed half of UnionPay's ECB MAC (R = 4D08F434464FE7BF written as 16 characters):

    >>> cbc_mac(bytes.fromhex("C24A8FB57AA20123"), b"4D08F434464FE7BF").hex().upper()
    '8A9E91B88D839AC5'
    """
    if len(data) % BLOCK or not data:
        raise ValueError("a MAC needs one or more whole blocks")
    return cbc_encrypt(key, iv, data)[-BLOCK:]


def retail_mac(key: bytes, data: bytes, iv: bytes = bytes(BLOCK)) -> bytes:
    """ISO 9797-1 algorithm 3 (ANSI X9.19) over whole blocks: 8 bytes. Single DES under the left
    part of the key, and at the end triple DES; a triple-length key ends with its third part.

    >>> key = bytes.fromhex("0123456789ABCDEFFEDCBA9876543210")
    >>> retail_mac(key, b"Now is the time for all ").hex().upper()
    'A1C72E74EA3FA9B6'
    """
    if len(key) not in (2 * BLOCK, 3 * BLOCK):
        raise ValueError("X9.19 takes a key of double or triple length")
    if len(data) % BLOCK or not data:
        raise ValueError("a MAC needs one or more whole blocks")
    chain = cbc_mac(key[:BLOCK], data[:-BLOCK], iv) if len(data) > BLOCK else iv
    return ecb_encrypt(key, xor(chain, data[-BLOCK:]))


def cmac_last(cipher: BlockCipherMode, key: bytes, data: bytes, iv: bytes) -> bytes:
    """CMAC (NIST SP 800-38B, ISO 9797-1 algorithm 5) of any bytes: one block.

    ``iv``: zeros, or the chain over the whole blocks that went before; then ``data`` is not empty.
    """
    unit = cipher.unit
    mask = _doubled(cipher.encrypt(key, bytes(unit)))
    if not data or len(data) % unit:
        mask, data = _doubled(mask), data + b"\x80" + bytes(-(len(data) + 1) % unit)
    data = data[:-unit] + xor(data[-unit:], mask)
    return cipher.cbc_encrypt(key, iv, data)[-unit:]


def folded(data: bytes, unit: int = BLOCK) -> bytes:
    """The keyless half of UnionPay's ECB MAC: the XOR of all blocks (zero-padded), as upper-case
    hex. A CBC-MAC over these characters is the MAC.

    >>> folded(bytes.fromhex("0102030405060708F1"))
    b'F002030405060708'
    """
    data += bytes(-len(data) % unit)
    chain = 0
    for at in range(0, len(data), unit):
        chain ^= int.from_bytes(data[at : at + unit], "big")
    return chain.to_bytes(unit, "big").hex().upper().encode("ascii")


_ROUNDS: Final = {8: 0x1B, 16: 0x87}
"""Block length → the constant of doubling in GF(2^64), GF(2^128)."""


def _doubled(block: bytes) -> bytes:
    """Twice ``block`` in its field."""
    unit = len(block)
    value = int.from_bytes(block, "big") << 1
    if value >> (8 * unit):
        value = (value ^ _ROUNDS[unit]) & ((1 << 8 * unit) - 1)
    return value.to_bytes(unit, "big")
