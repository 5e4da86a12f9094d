"""EMV cryptograms at the issuer's side: card keys, session keys, ARPC (EMV book 2, A1.3-A1.4, 8.2).

An application cryptogram (ARQC, TC, AAC) is ``retail_mac`` of the padded data under the session
key. All keys have 16 bytes. Derived keys get odd parity, which changes nothing in DES.
"""

import hashlib
from typing import Final

from hsm.primitives.des import BLOCK, ecb_encrypt, odd_parity, pad, xor
from hsm.primitives.macs import retail_mac

_ONES: Final = b"\xff" * BLOCK
_DIGITS: Final = 16
_SHORT: Final = 9
"""Bytes of a PAN of 16 digits with its sequence number: up to here option B is option A."""
_ATC_BITS: Final = 16


def card_key_a(issuer_key: bytes, pan_psn: bytes) -> bytes:
    """Option A: from the last 16 digits of PAN and PAN sequence number, 8 bytes packed."""
    left = ecb_encrypt(issuer_key, pan_psn)
    return odd_parity(left + ecb_encrypt(issuer_key, xor(pan_psn, _ONES)))


def card_key_b(issuer_key: bytes, pan_psn: bytes) -> bytes:
    """Option B: for a PAN of up to 16 digits as option A; beyond, from the first 16 decimal digits
    of the SHA-1 of PAN and sequence number as packed (letters, decimalised, at the end)."""
    if len(pan_psn) <= _SHORT:
        return card_key_a(issuer_key, pan_psn[-BLOCK:].rjust(BLOCK, b"\0"))
    found = hashlib.sha1(pan_psn, usedforsecurity=False).hexdigest()
    digits = "".join(c for c in found if c.isdecimal())
    letters = "".join(str(int(c, 16) - 10) for c in found if not c.isdecimal())
    return card_key_a(issuer_key, bytes.fromhex((digits + letters)[:_DIGITS]))


def common_session_key(card_key: bytes, atc: bytes) -> bytes:
    """EMV common session key: from the transaction counter (2 bytes) alone."""
    return _both_halves(card_key, atc, bytes(5))


def mchip_session_key(card_key: bytes, atc: bytes, number: bytes) -> bytes:
    """M/Chip: from the counter (2 bytes) and the unpredictable number (4 bytes)."""
    return _both_halves(card_key, atc, b"\0" + number)


def _both_halves(card_key: bytes, atc: bytes, rest: bytes) -> bytes:
    halves = (ecb_encrypt(card_key, atc + mark + rest) for mark in (b"\xf0", b"\x0f"))
    return odd_parity(b"".join(halves))


def tree_session_key(card_key: bytes, atc: bytes, iv: bytes, branch: int, height: int) -> bytes:
    """EMV2000 tree: ``branch`` keys grow from each key, ``height`` levels deep.

    Only 2/16 and 4/8 exist: with these every counter of 16 bits has a leaf of its own.
    """
    bits = _ATC_BITS // height
    if branch != 1 << bits or bits * height != _ATC_BITS:
        raise ValueError("branch and height must span 16 bits")
    number = int.from_bytes(atc, "big")
    key, parent, grandparent = card_key, iv, b""
    for level in range(1, height + 1):
        place = (number >> (_ATC_BITS - bits * level)) % branch
        key, parent, grandparent = _child(key, parent, place), key, parent
    return odd_parity(xor(key, grandparent))


def _child(parent: bytes, grandparent: bytes, place: int) -> bytes:
    left = xor(grandparent[:BLOCK], place.to_bytes(BLOCK, "big"))
    right = xor(grandparent[BLOCK:], (place ^ 0xF0).to_bytes(BLOCK, "big"))
    return ecb_encrypt(parent, left + right)


def arpc_1(key: bytes, arqc: bytes, response_code: bytes) -> bytes:
    """Method 1: 8 bytes, over the ARQC and the authorisation response code (2 bytes).

    >>> key = bytes.fromhex("AAAAAAAAAAAAAAAABBBBBBBBBBBBBBBB")
    >>> arpc_1(key, bytes.fromhex("1234567890ABCDEF"), bytes(2)).hex().upper()
    'F5E6F44147E2F1B0'
    """
    return ecb_encrypt(key, xor(arqc, response_code + bytes(BLOCK - len(response_code))))


def arpc_2(key: bytes, arqc: bytes, status_update: bytes, proprietary: bytes) -> bytes:
    """Method 2: 4 bytes, over the ARQC, the card status update (4 bytes) and up to 8 bytes more."""
    return retail_mac(key, pad(arqc + status_update + proprietary, 2))[:4]
