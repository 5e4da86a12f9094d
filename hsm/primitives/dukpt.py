"""DUKPT of ANSI X9.24-1 (triple DES): one key for each payment, derived from a key serial number.

A KSN has 10 bytes; its last 21 bits count. The base derivation key (BDK) has 16 bytes.
"""

from typing import Final

from hsm.primitives.des import BLOCK, ecb_context, xor

KSN_LENGTH: Final = 10

_COUNTER: Final = 0x1FFFFF
_REGISTER: Final = bytes.fromhex("C0C0C0C000000000C0C0C0C000000000")
_PIN: Final = bytes.fromhex("00000000000000FF00000000000000FF")
_MAC_REQUEST: Final = bytes.fromhex("000000000000FF00000000000000FF00")
_MAC_ANSWER: Final = bytes.fromhex("00000000FF00000000000000FF000000")

_context = ecb_context.__wrapped__
"""Keys that live for one payment are not remembered among those that live for a day."""


def initial_key(bdk: bytes, ksn: bytes) -> bytes:
    """The initial key of a device: what was put into it.

    >>> bdk = bytes.fromhex("0123456789ABCDEFFEDCBA9876543210")
    >>> initial_key(bdk, bytes.fromhex("FFFF9876543210E00000")).hex().upper()
    '6AC292FAA1315B4D858AB3A3D7D5933A'
    """
    if len(bdk) != 2 * BLOCK or len(ksn) != KSN_LENGTH:
        raise ValueError("DUKPT takes a BDK of 16 and a KSN of 10 bytes")
    device = (int.from_bytes(ksn, "big") & ~_COUNTER).to_bytes(KSN_LENGTH, "big")[:BLOCK]
    halves = (_context(key).encrypt(device) for key in (bdk, xor(bdk, _REGISTER)))
    return b"".join(halves)


def derived_key(bdk: bytes, ksn: bytes) -> bytes:
    """The key of this KSN, before any variant: 16 bytes.

    >>> bdk = bytes.fromhex("0123456789ABCDEFFEDCBA9876543210")
    >>> derived_key(bdk, bytes.fromhex("FFFF9876543210E00001")).hex().upper()
    '042666B49184CFA368DE9628D0397BC9'
    """
    key = initial_key(bdk, ksn)
    number = int.from_bytes(ksn, "big")
    register = number & ~_COUNTER
    for place in range(20, -1, -1):
        bit = 1 << place
        if number & bit:
            register |= bit
            key = _next(key, (register & (1 << 64) - 1).to_bytes(BLOCK, "big"))
    return key


def pin_key(bdk: bytes, ksn: bytes) -> bytes:
    """The key under which the device of this KSN encrypted its PIN block."""
    return xor(derived_key(bdk, ksn), _PIN)


def mac_key(bdk: bytes, ksn: bytes, *, answer: bool = False) -> bytes:
    """The key of the device's MAC, or of the MAC in the ``answer`` to it."""
    return xor(derived_key(bdk, ksn), _MAC_ANSWER if answer else _MAC_REQUEST)


def _next(key: bytes, register: bytes) -> bytes:
    """The non-reversible step: both halves from both halves and the register."""
    return _half(xor(key, _REGISTER), register) + _half(key, register)


def _half(key: bytes, register: bytes) -> bytes:
    left, right = key[:BLOCK], key[BLOCK:]
    return xor(_context(left).encrypt(xor(register, right)), right)
