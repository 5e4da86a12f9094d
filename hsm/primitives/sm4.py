"""SM4 (GB/T 32907, 128-bit blocks and keys) and SM3 (GB/T 32905), the 国密 cipher and hash."""

from functools import lru_cache
from typing import Final

from cryptography.hazmat.primitives.ciphers import Cipher, CipherContext
from cryptography.hazmat.primitives.ciphers.algorithms import SM4
from cryptography.hazmat.primitives.ciphers.modes import CBC, ECB
from cryptography.hazmat.primitives.hashes import SM3, Hash

SM4_BLOCK: Final = 16

_CONTEXTS_MAX: Final = 1024


@lru_cache(maxsize=_CONTEXTS_MAX)
def _encryptor(key: bytes) -> CipherContext:
    """For single blocks: without padding it has no state between calls, so it may be shared."""
    return Cipher(SM4(key), ECB()).encryptor()  # noqa: S305 - single blocks, as the trade has them


@lru_cache(maxsize=_CONTEXTS_MAX)
def _decryptor(key: bytes) -> CipherContext:
    return Cipher(SM4(key), ECB()).decryptor()  # noqa: S305 - single blocks, as the trade has them


def sm4_encrypt(key: bytes, data: bytes) -> bytes:
    """Encrypt whole blocks, each by itself; the key has 16 bytes. Example: GB/T 32907, A.1.

    >>> key = bytes.fromhex("0123456789ABCDEFFEDCBA9876543210")
    >>> sm4_encrypt(key, key).hex().upper()
    '681EDF34D206965E86B3E94F536E4246'
    """
    return _encryptor(key).update(_whole(data))


def sm4_decrypt(key: bytes, data: bytes) -> bytes:
    """Undo :func:`sm4_encrypt`."""
    return _decryptor(key).update(_whole(data))


def sm4_cbc_encrypt(key: bytes, iv: bytes, data: bytes) -> bytes:
    """Encrypt whole blocks, chained from ``iv`` (16 bytes)."""
    return Cipher(SM4(key), CBC(iv)).encryptor().update(_whole(data))


def sm4_cbc_decrypt(key: bytes, iv: bytes, data: bytes) -> bytes:
    """Undo :func:`sm4_cbc_encrypt`."""
    return Cipher(SM4(key), CBC(iv)).decryptor().update(_whole(data))


def sm4_check_value(key: bytes) -> bytes:
    """KCV: sixteen zero bytes under the key; people cut it to 3, 4 or 8 bytes."""
    return sm4_encrypt(key, bytes(SM4_BLOCK))


def sm3(data: bytes) -> bytes:
    """The 32-byte hash. Example: GB/T 32905, A.1.

    >>> sm3(b"abc").hex().upper()
    '66C7F0F462EEEDD9D1F2D46BDC10E4E24167C4875CF2F7A2297DA02B8F4BA8E0'
    """
    hashed = Hash(SM3())
    hashed.update(data)
    return hashed.finalize()


def forget_sm4() -> None:
    """Drop every remembered cipher context."""
    _encryptor.cache_clear()
    _decryptor.cache_clear()


def _whole(data: bytes) -> bytes:
    # A half block would stay in a shared context and come out in somebody else's data.
    if len(data) % SM4_BLOCK:
        raise ValueError("SM4 takes whole blocks of 16 bytes")
    return data
