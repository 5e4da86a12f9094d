"""Keys as the host protocol writes them: schemes, types, and wrapping under another key.

A cryptogram is a scheme tag and hex: ``U``/``T`` (variant, 2 or 3 blocks), ``X``/``Y`` (plain ECB,
2 or 3 blocks), ``Z`` (one block); without a tag it is plain ECB of whatever length the field says.
Behind ``S`` stands a key block under a key-block LMK, behind ``R`` a TR-31 key block.
"""

import re
from typing import Final, NamedTuple

from hsm import primitives
from hsm.errors import CommandError

SCHEME_BYTES: Final = {"U": 16, "X": 16, "T": 24, "Y": 24, "Z": 8, "0": 8}
"""Key length of each scheme; ``0`` is the old name of ``Z``."""

BLOCK_SCHEMES: Final = ("S", "R")
"""Tags of key blocks: their length stands in their own header."""

_MASKS: Final = {"U": b"\xa6\x5a", "T": b"\x6a\xde\x2b"}
_MASKED_BYTE: Final = 8
"""The first byte of the right half of the wrapping key carries the scheme's mask."""

_ATALLA: Final = bytes((0x08, 0x10, 0x18, 0x20, 0x28))
_CRYPTOGRAM: Final = re.compile(
    r"([UX])([0-9A-F]{32})|([TY])([0-9A-F]{48})|(Z?)([0-9A-F]{16})|()([0-9A-F]{32})"
    r"|([SR])([0-9A-F][0-9]{4}[ -~]{11,9995})"
)


class Cryptogram(NamedTuple):
    """A key under another key, as a field of the protocol. Safe to store, not worth printing."""

    scheme: str
    """``U T X Y Z S R``, or empty for an untagged one."""
    body: str
    """Upper-case hex; of a key block its text."""

    def __str__(self) -> str:
        return self.scheme + self.body

    def __repr__(self) -> str:
        return f"<key {self.scheme or 'untagged'}, {len(self.body) // 2} bytes>"

    @property
    def in_block(self) -> bool:
        """Whether it is a key block, whose header says what the key may do."""
        return self.scheme in BLOCK_SCHEMES

    @property
    def owner(self) -> str:
        """Id of the LMK that a key block of scheme S says it is under; ``FF``: a ZMK."""
        return self.body[14:16] if self.scheme == "S" else ""


class KeyType(NamedTuple):
    """A kind of key: ``VPP``, V the LMK variant, PP the code of the LMK pair."""

    code: str
    name: str
    text: str


KEY_TYPES: Final = {
    kind.code: kind
    for kind in (
        KeyType("000", "ZMK", "zone master key 区域主密钥; also the TMK that wraps working keys"),
        KeyType("001", "ZPK", "zone PIN key 区域 PIN 密钥 (the bank's PIK)"),
        KeyType("002", "TPK", "terminal PIN key 终端 PIN 密钥; TMK and PVK in classic mode"),
        KeyType("003", "TAK", "terminal MAC key 终端 MAC 密钥 (the bank's MAK)"),
        KeyType("008", "ZAK", "zone MAC key 区域 MAC 密钥"),
        KeyType("009", "BDK", "base derivation key of DUKPT"),
        KeyType("109", "MK-AC", "EMV master key for application cryptograms"),
        KeyType("209", "MK-SMI", "EMV master key for secure messaging integrity"),
        KeyType("309", "MK-SMC", "EMV master key for secure messaging confidentiality"),
        KeyType("00A", "ZEK", "zone encryption key 区域数据密钥: encrypts only"),
        KeyType("00B", "DEK", "data encryption key: the vault's; never crosses a ZMK"),
        KeyType("30B", "TEK", "terminal encryption key 终端数据密钥"),
        KeyType("302", "IKEY", "initial key of a DUKPT device"),
        KeyType("402", "CVK", "card verification key"),
        KeyType("70D", "TPK", "terminal PIN key where PVK, TMK and TPK are kept apart (PCI HSM)"),
        KeyType("80D", "TMK", "terminal master key where they are kept apart (PCI HSM)"),
    )
}
"""The types this daemon knows; another code answers 04."""

BLOCK_TYPE: Final = "FFF"
"""In the place of a type: the key is a key block, whose own header says what it is."""


def parse_cryptogram(text: str) -> Cryptogram:
    """Read a cryptogram as printed. ValueError for anything else; the text is not in the message.

    >>> parse_cryptogram("Z0123456789ABCDEF")
    <key Z, 8 bytes>
    """
    match = _CRYPTOGRAM.fullmatch(text)
    scheme, body = (p for p in match.groups() if p is not None) if match else ("", "")
    if not body or (scheme in BLOCK_SCHEMES and int(body[1:5]) != len(body)):
        raise ValueError(
            "a cryptogram is U, X + 32 hex, T, Y + 48 hex, Z + 16 hex, plain hex, or a key block"
        )
    return Cryptogram(scheme, body)


def scheme_for(length: int) -> str:
    """The variant scheme that a clear key of this length (bytes) is stored under."""
    return {8: "Z", 16: "U", 24: "T"}[length]


def wrap(wrapping: bytes, scheme: str, clear: bytes) -> Cryptogram:
    """``clear`` under ``wrapping`` (16 or 24 bytes). CommandError 26 when the lengths disagree.

    On output a single-length key goes untagged.
    """
    if SCHEME_BYTES.get(scheme) != len(clear):
        raise CommandError("26", "scheme")
    blocks = [
        primitives.ecb_encrypt(masked(wrapping, scheme, index), clear[at : at + primitives.BLOCK])
        for index, at in enumerate(range(0, len(clear), primitives.BLOCK))
    ]
    return Cryptogram("" if scheme in "Z0" else scheme, b"".join(blocks).hex().upper())


def unwrap(wrapping: bytes, key: Cryptogram) -> bytes:
    """Undo :func:`wrap`: the clear key, parity not looked at."""
    data = bytes.fromhex(key.body)
    return b"".join(
        primitives.ecb_decrypt(masked(wrapping, key.scheme, index), data[at : at + 8])
        for index, at in enumerate(range(0, len(data), primitives.BLOCK))
    )


def atalla(wrapping: bytes, variant: int) -> bytes:
    """The ZMK of an Atalla variant, 1 … 5: bytes 0 and 8 changed. CommandError 15 otherwise."""
    if not 1 <= variant <= len(_ATALLA):
        raise CommandError("15", "atalla_variant")
    if len(wrapping) <= _MASKED_BYTE:
        raise CommandError("27", "zmk")
    changed = bytearray(wrapping)
    changed[0] ^= _ATALLA[variant - 1]
    changed[_MASKED_BYTE] ^= _ATALLA[variant - 1]
    return bytes(changed)


def masked(wrapping: bytes, scheme: str, index: int) -> bytes:
    """The wrapping key of the key's block ``index`` (from 0) under a scheme."""
    masks = _MASKS.get(scheme)
    if masks is None:
        return wrapping
    if len(wrapping) <= _MASKED_BYTE:
        raise CommandError("27", "wrapping key")
    changed = bytearray(wrapping)
    changed[_MASKED_BYTE] ^= masks[index]
    return bytes(changed)
