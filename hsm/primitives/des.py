"""DES and triple DES as the payment trade uses them: ECB, CBC, parity, check values.

Pure functions over ``bytes``. A key is 8 bytes (DES) or 16 or 24 (triple DES, EDE); parity bits
are ignored. The module keeps no key of its own: it only remembers the last cipher contexts it
made, a bounded number of them (constructing one costs five times as much as using it), until
:func:`forget_des` is called. Errors are ``ValueError`` and name lengths, never values.
"""

from functools import lru_cache
from typing import Final, Protocol

from Crypto.Cipher import DES, DES3

BLOCK: Final = 8
"""Block length of DES in bytes."""

CONTEXTS_MAX: Final = 4096
"""Cipher contexts remembered: four keys for each of a thousand terminals."""


class _Cipher(Protocol):
    def encrypt(self, data: bytes, /) -> bytes: ...

    def decrypt(self, data: bytes, /) -> bytes: ...


def xor(left: bytes, right: bytes) -> bytes:
    """XOR two strings of equal length.

    >>> xor(bytes.fromhex("0F0F"), bytes.fromhex("00FF")).hex()
    '0ff0'
    """
    if len(left) != len(right):
        raise ValueError("xor: lengths differ")
    return (int.from_bytes(left, "big") ^ int.from_bytes(right, "big")).to_bytes(len(left), "big")


def _effective(key: bytes) -> bytes:
    """What the library can take: it refuses triple DES with two equal neighbours, which is DES.

    E(K3, D(K2, E(K1, x))) is E(K3, x) when K1 = K2, and E(K1, x) when K2 = K3.
    """
    if len(key) not in (8, 16, 24):
        raise ValueError(f"a key has 8, 16 or 24 bytes, not {len(key)}")
    if len(key) == 8:
        return key
    first, second, third = key[:8], key[8:16], key[16:] or key[:8]
    if odd_parity(first) == odd_parity(second):
        return third
    if odd_parity(second) == odd_parity(third):
        return first
    return key


@lru_cache(maxsize=CONTEXTS_MAX)
def ecb_context(key: bytes) -> _Cipher:
    """A context for single blocks; it has no state between calls, so it may be shared."""
    effective = _effective(key)
    if len(effective) == 8:
        return DES.new(effective, DES.MODE_ECB)  # noqa: S304 - the field's cipher, until SM4
    return DES3.new(effective, DES3.MODE_ECB)


class _Chained:
    """A CBC encryption context used again and again: making one costs as much as using it.

    What it chains from is its own last block, which is XORed out again with the next message's
    first block. Not for two threads at once.
    """

    def __init__(self, key: bytes) -> None:
        self._cipher = _cbc(key, bytes(BLOCK))
        self._last = 0

    def encrypt(self, iv: bytes, data: bytes) -> bytes:
        if len(data) % BLOCK or len(iv) != BLOCK:
            raise ValueError("CBC takes whole blocks, and an IV of one")
        if not data:
            return b""
        first = int.from_bytes(data[:BLOCK], "big") ^ int.from_bytes(iv, "big") ^ self._last
        out = self._cipher.encrypt(first.to_bytes(BLOCK, "big") + data[BLOCK:])
        self._last = int.from_bytes(out[-BLOCK:], "big")
        return out


_chained = lru_cache(maxsize=CONTEXTS_MAX)(_Chained)


def _cbc(key: bytes, iv: bytes) -> _Cipher:
    """A context for one message: its state is the chain, so it is never shared."""
    effective = _effective(key)
    if len(effective) == 8:
        return DES.new(effective, DES.MODE_CBC, iv=iv)  # noqa: S304 - the field's cipher
    return DES3.new(effective, DES3.MODE_CBC, iv=iv)


def forget_des() -> None:
    """Drop every remembered cipher context."""
    ecb_context.cache_clear()
    _chained.cache_clear()


def ecb_encrypt(key: bytes, data: bytes) -> bytes:
    """Encrypt whole blocks, each by itself.

    >>> key = bytes.fromhex("0123456789ABCDEFFEDCBA9876543210")
    >>> ecb_encrypt(key, bytes(8)).hex().upper()
    '08D7B4FB629D0885'
    """
    return ecb_context(key).encrypt(data)


def ecb_decrypt(key: bytes, data: bytes) -> bytes:
    """Undo :func:`ecb_encrypt`."""
    return ecb_context(key).decrypt(data)


def cbc_encrypt(key: bytes, iv: bytes, data: bytes) -> bytes:
    """Encrypt whole blocks, chained from ``iv`` (8 bytes)."""
    return _chained(key).encrypt(iv, data)


def cbc_decrypt(key: bytes, iv: bytes, data: bytes) -> bytes:
    """Undo :func:`cbc_encrypt`."""
    return _cbc(key, iv).decrypt(data)


def cfb_encrypt(key: bytes, step_bits: int, iv: bytes, data: bytes) -> bytes:
    """Cipher feedback in steps of 8 or 64 bits; ``data`` in whole steps, ``iv`` 8 bytes."""
    return _cfb(key, step_bits, iv).encrypt(data)


def cfb_decrypt(key: bytes, step_bits: int, iv: bytes, data: bytes) -> bytes:
    """Undo :func:`cfb_encrypt`."""
    return _cfb(key, step_bits, iv).decrypt(data)


def _cfb(key: bytes, step_bits: int, iv: bytes) -> _Cipher:
    effective = _effective(key)
    if len(effective) == 8:
        return DES.new(effective, DES.MODE_CFB, iv=iv, segment_size=step_bits)  # noqa: S304 - as above
    return DES3.new(effective, DES3.MODE_CFB, iv=iv, segment_size=step_bits)


def pad(data: bytes, method: int, unit: int = BLOCK) -> bytes:
    """Pad to whole blocks of ``unit`` bytes. Method 0: not at all; 1: zeros, none when whole; 2:
    ``80`` then zeros; 3: zeros, and before all a block with the length in bits (ISO 9797-1).

    >>> pad(b"abc", 1).hex(), pad(b"abc", 2).hex(), pad(b"12345678", 1)
    ('6162630000000000', '6162638000000000', b'12345678')
    >>> pad(b"abc", 3).hex()
    '00000000000000186162630000000000'
    """
    if method == 0:
        return data
    if method == 2:
        data += b"\x80"
    elif method == 3:
        data = (8 * len(data)).to_bytes(unit, "big") + data
    return data + bytes(-len(data) % unit)


def check_value(key: bytes) -> bytes:
    """KCV: eight zero bytes under the key; people cut it to 3 or 4 bytes.

    >>> check_value(bytes.fromhex("5BB5C72CD00B7338"))[:4].hex().upper()
    'AB7153CA'
    """
    return ecb_encrypt(key, bytes(BLOCK))


_ODD: Final = bytes(b if b.bit_count() % 2 else b ^ 1 for b in range(256))


def odd_parity(key: bytes) -> bytes:
    """The same key with odd parity in every byte (the lowest bit is free in DES).

    >>> odd_parity(bytes.fromhex("CA5D925800")).hex().upper()
    'CB5D925801'
    """
    return key.translate(_ODD)


def has_odd_parity(key: bytes) -> bool:
    """Whether every byte of ``key`` has odd parity: what a key decrypted by the wrong one lacks."""
    return key.translate(_ODD) == key


_WEAK_HALVES: Final = bytes.fromhex(
    "0101010101010101 FEFEFEFEFEFEFEFE E0E0E0E0F1F1F1F1 1F1F1F1F0E0E0E0E"
    "011F011F010E010E 1F011F010E010E01 01E001E001F101F1 E001E001F101F101"
    "01FE01FE01FE01FE FE01FE01FE01FE01 1FE01FE00EF10EF1 E01FE01FF10EF10E"
    "1FFE1FFE0EFE0EFE FE1FFE1FFE0EFE0E E0FEE0FEF1FEF1FE FEE0FEE0FEF1FEF1"
)
_WEAK: Final = frozenset(_WEAK_HALVES[at : at + BLOCK] for at in range(0, len(_WEAK_HALVES), BLOCK))


def is_weak(key: bytes) -> bool:
    """A half is weak or semi-weak (NIST SP 800-67), or two halves are equal.

    >>> is_weak(bytes.fromhex("0123456789ABCDEFFEDCBA9876543210"))
    False
    >>> is_weak(bytes(16))
    True
    """
    halves = [odd_parity(key[at : at + BLOCK]) for at in range(0, len(key), BLOCK)]
    return len(set(halves)) < len(halves) or not _WEAK.isdisjoint(halves)
