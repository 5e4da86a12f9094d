"""Message authentication codes over DES and triple DES (ISO 9797-1 algorithms 1 and 3)."""

from typing import Final

from hsm.primitives.des import BLOCK, cbc_encrypt, ecb_context, ecb_decrypt, ecb_encrypt

_CBC_FROM_BLOCKS: Final = 6
"""From here on one new CBC context is cheaper than the same steps through a cached ECB one."""


def cbc_mac(key: bytes, data: bytes, iv: bytes = bytes(BLOCK)) -> bytes:
    """ISO 9797-1 algorithm 1 over whole blocks: 8 bytes. A double key means 3DES in every step.

    The keyed half of UnionPay's ECB MAC (R = 4D08F434464FE7BF written as 16 characters):

    >>> cbc_mac(bytes.fromhex("C24A8FB57AA20123"), b"4D08F434464FE7BF").hex().upper()
    '8A9E91B88D839AC5'
    """
    if len(data) % BLOCK or not data:
        raise ValueError("a MAC needs one or more whole blocks")
    if len(data) >= _CBC_FROM_BLOCKS * BLOCK:
        return cbc_encrypt(key, iv, data)[-BLOCK:]
    cipher, chain = ecb_context(key), int.from_bytes(iv, "big")
    for at in range(0, len(data), BLOCK):
        step = chain ^ int.from_bytes(data[at : at + BLOCK], "big")
        chain = int.from_bytes(cipher.encrypt(step.to_bytes(BLOCK, "big")), "big")
    return chain.to_bytes(BLOCK, "big")


def retail_mac(key: bytes, data: bytes, iv: bytes = bytes(BLOCK)) -> bytes:
    """ISO 9797-1 algorithm 3 (ANSI X9.19) over whole blocks, key of 16 bytes: 8 bytes.

    >>> key = bytes.fromhex("0123456789ABCDEFFEDCBA9876543210")
    >>> retail_mac(key, b"Now is the time for all ").hex().upper()
    'A1C72E74EA3FA9B6'
    """
    if len(key) != 2 * BLOCK:
        raise ValueError("X9.19 takes a double-length key")
    chain = cbc_mac(key[:BLOCK], data, iv)
    return ecb_encrypt(key[:BLOCK], ecb_decrypt(key[BLOCK:], chain))
