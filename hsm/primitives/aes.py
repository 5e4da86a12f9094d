"""AES as key blocks use it: CBC, single blocks and CMAC (NIST SP 800-38A, 800-38B)."""

from functools import lru_cache
from typing import Any, Final

from Crypto.Cipher import AES
from Crypto.Hash import CMAC

AES_BLOCK: Final = 16

_CONTEXTS_MAX: Final = 1024


@lru_cache(maxsize=_CONTEXTS_MAX)
def aes_context(key: bytes) -> Any:
    """A context for single blocks; it has no state between calls, so it may be shared."""
    return AES.new(key, AES.MODE_ECB)


def aes_encrypt(key: bytes, data: bytes) -> bytes:
    """Encrypt whole blocks, each by itself; a key of 16, 24 or 32 bytes."""
    return bytes(aes_context(key).encrypt(data))


def aes_decrypt(key: bytes, data: bytes) -> bytes:
    """Undo :func:`aes_encrypt`."""
    return bytes(aes_context(key).decrypt(data))


def aes_cbc_encrypt(key: bytes, iv: bytes, data: bytes) -> bytes:
    """Encrypt whole blocks, chained from ``iv`` (16 bytes)."""
    return AES.new(key, AES.MODE_CBC, iv=iv).encrypt(data)


def aes_cbc_decrypt(key: bytes, iv: bytes, data: bytes) -> bytes:
    """Undo :func:`aes_cbc_encrypt`."""
    return AES.new(key, AES.MODE_CBC, iv=iv).decrypt(data)


def aes_cmac(key: bytes, data: bytes) -> bytes:
    """CMAC over any bytes: 16 bytes.

    >>> key = bytes.fromhex("2B7E151628AED2A6ABF7158809CF4F3C")
    >>> aes_cmac(key, bytes.fromhex("6BC1BEE22E409F96E93D7E117393172A")).hex().upper()
    '070A16B46B4D4144F79BDD9DD04A287C'
    """
    return CMAC.new(key, data, ciphermod=AES).digest()
