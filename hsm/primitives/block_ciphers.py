"""The block ciphers by the letter that a key block's header gives them."""

from collections.abc import Callable
from typing import Final, NamedTuple

from hsm.primitives import aes, des, sm4


class BlockCipherMode(NamedTuple):
    """One cipher as functions of a key and whole blocks."""

    unit: int
    """Bytes of a block."""
    encrypt: Callable[[bytes, bytes], bytes]
    decrypt: Callable[[bytes, bytes], bytes]
    cbc_encrypt: Callable[[bytes, bytes, bytes], bytes]
    """``(key, iv, data)``."""
    cbc_decrypt: Callable[[bytes, bytes, bytes], bytes]


_DES: Final = BlockCipherMode(
    des.BLOCK, des.ecb_encrypt, des.ecb_decrypt, des.cbc_encrypt, des.cbc_decrypt
)
_AES: Final = BlockCipherMode(
    aes.AES_BLOCK, aes.aes_encrypt, aes.aes_decrypt, aes.aes_cbc_encrypt, aes.aes_cbc_decrypt
)
_SM4: Final = BlockCipherMode(
    sm4.SM4_BLOCK, sm4.sm4_encrypt, sm4.sm4_decrypt, sm4.sm4_cbc_encrypt, sm4.sm4_cbc_decrypt
)

BLOCK_CIPHERS: Final = {"D": _DES, "T": _DES, "A": _AES, "4": _SM4}
"""``D`` DES, ``T`` triple DES, ``A`` AES, ``4`` SM4."""


def forget() -> None:
    """Drop every remembered cipher context (the key service stops, a key set is destroyed)."""
    des.forget_des()
    aes.aes_context.cache_clear()
    sm4.forget_sm4()
