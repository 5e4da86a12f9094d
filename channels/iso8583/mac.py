"""MAC rules by name: the part that needs no key. The keyed part is the HSM's (M6, M8).

- ``cup_ecb`` (银联 ECB 算法): fold the message and write the fold as 16 hexadecimal characters;
  what is left is an ordinary CBC-MAC over them (ISO 9797-1 algorithm 1). With a double-length key
  it is 3DES in every step: single or double is decided by the key alone.
- ``x99_cbc``: a CBC-MAC over the message; ``x919_retail``: ISO 9797-1 algorithm 3 over it.
- ``cup_cbc``: a CBC-MAC over a string made of some fields (host to host).
- ``sm4``: as ``cup_ecb`` with blocks of 16 bytes and SM4, or a CBC-MAC without the fold.
"""

import re
import struct
from binascii import unhexlify
from collections.abc import Mapping
from functools import reduce
from operator import xor
from typing import Literal

from channels.iso8583.dialect import Content, Dialect, Mac, MacRule
from switch.model.mac_form import MacForm

_BLOCK_BYTES = 8
_SM4_BLOCK_BYTES = 16
_ALGORITHMS: Mapping[MacRule, Literal["cbc", "retail", "sm4_cbc"]] = {
    MacRule.CUP_ECB: "cbc",
    MacRule.X99_CBC: "cbc",
    MacRule.X919_RETAIL: "retail",
    MacRule.CUP_CBC: "cbc",
    MacRule.SM4: "sm4_cbc",
}
_DROPPED = re.compile(r"[^A-Z0-9 ,.]")
_SPACES = re.compile(" +")


def cup_fold(mab: bytes) -> bytes:
    """The 16 upper-case hexadecimal characters that the key works on.

    ``mab`` is every byte from the message type to the last field before the MAC; it is padded
    with zeros to whole blocks, which changes nothing in an exclusive or.

    >>> cup_fold(bytes.fromhex("0102030405060708FF"))
    b'FE02030405060708'
    """
    blocks = -(-len(mab) // _BLOCK_BYTES)
    words = struct.unpack(f">{blocks}Q", mab.ljust(blocks * _BLOCK_BYTES, b"\0"))
    return b"%016X" % reduce(xor, words, 0)


def sm4_fold(mab: bytes) -> bytes:
    """As :func:`cup_fold` in blocks of 16 bytes: 32 characters.

    >>> sm4_fold(bytes.fromhex("0102030405060708090A0B0C0D0E0F10FF"))
    b'FE02030405060708090A0B0C0D0E0F10'
    """
    blocks = -(-len(mab) // _SM4_BLOCK_BYTES)
    words = struct.unpack(f">{2 * blocks}Q", mab.ljust(blocks * _SM4_BLOCK_BYTES, b"\0"))
    return b"%016X%016X" % (reduce(xor, words[::2], 0), reduce(xor, words[1::2], 0))


def normalised(values: list[str]) -> bytes:
    """The string of ``cup_cbc``: upper case; letters, digits, space, comma and point only; each
    value trimmed, runs of spaces one, joined by one space.

    >>> normalised(["0200", " no. 7/8  x ", ""])
    b'0200 NO. 78 X'
    """
    kept = (_SPACES.sub(" ", _DROPPED.sub("", value.upper())).strip() for value in values)
    return " ".join(value for value in kept if value).encode("ascii")


class MacMaker:
    """A dialect's MAC rule made ready. ``form`` is what the key service is told; ``blank`` holds
    the MAC's place in the fields while a message is encoded."""

    def __init__(self, dialect: Dialect) -> None:
        mac = dialect.mac
        field = dialect.fields[mac.field]
        self._mac = mac
        self._binary = dialect.encodings[field.like].content is Content.BINARY
        self._field_bytes = field.max
        characters: Literal[8, 16] = 16 if (2 if self._binary else 1) * field.max == 16 else 8
        self.form = MacForm(
            algorithm=_ALGORITHMS[mac.rule], padding=mac.padding, characters=characters
        )
        self.blank = "0" * characters

    def input(self, mti: str, fields: Mapping[str, str], mab: bytes) -> bytes:
        """What the key service makes the MAC over. ``mab`` is the encoded message from its type to
        the byte before the MAC."""
        mac = self._mac
        if mac.rule is MacRule.CUP_ECB:
            return cup_fold(mab)
        if mac.rule is MacRule.CUP_CBC:
            return normalised(_values(mac, mti, fields))
        if mac.rule is MacRule.SM4 and mac.folds:
            return sm4_fold(mab)
        return mab

    def sealed(self, encoded: bytes, mac: bytes) -> bytes:
        """An encoded message with its MAC (hexadecimal characters) in the blank's place."""
        return encoded[: -self._field_bytes] + (unhexlify(mac) if self._binary else mac)


def _values(mac: Mac, mti: str, fields: Mapping[str, str]) -> list[str]:
    numbers = mac.fields.get(mti, mac.fields["default"])
    return [mti, *(fields[number] for number in numbers if number in fields)]
