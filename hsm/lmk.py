"""The local master key (LMK 本地主密钥) of the variant style, and the published test set.

A key of type ``VPP`` is wrapped by LMK pair ``PP`` with variant ``V`` XORed into its first byte.
"""

from collections.abc import Mapping
from functools import lru_cache
from hashlib import sha256
from typing import Final

from hsm import keys, primitives
from hsm.errors import CommandError
from hsm.keys import Cryptogram

UNWRAPPED_MAX: Final = 4096
"""Clear keys remembered by cryptogram: four for each of a thousand terminals, 24 bytes each."""

_VARIANTS: Final = bytes((0x00, 0xA6, 0x5A, 0x6A, 0xDE, 0x2B, 0x50, 0x74, 0x9C, 0xFA))

_PAIR_OF: Final = {
    "00": "04-05", "01": "06-07", "02": "14-15", "03": "16-17", "04": "18-19", "05": "20-21",
    "06": "22-23", "07": "24-25", "08": "26-27", "09": "28-29", "0A": "30-31", "0B": "32-33",
}  # fmt: skip
"""Pair code (the last two characters of a key type) → LMK pair."""

TEST_PAIRS: Final = {
    "00-01": "01010101010101017902CD1FD36EF8BA",
    "02-03": "20202020202020203131313131313131",
    "04-05": "40404040404040405151515151515151",
    "06-07": "61616161616161617070707070707070",
    "08-09": "80808080808080809191919191919191",
    "10-11": "A1A1A1A1A1A1A1A1B0B0B0B0B0B0B0B0",
    "12-13": "C1C1010101010101D0D0010101010101",
    "14-15": "E0E0010101010101F1F1010101010101",
    "16-17": "1C587F1C13924FEF0101010101010101",
    "18-19": "01010101010101010101010101010101",
    "20-21": "02020202020202020404040404040404",
    "22-23": "07070707070707071010101010101010",
    "24-25": "13131313131313131515151515151515",
    "26-27": "16161616161616161919191919191919",
    "28-29": "1A1A1A1A1A1A1A1A1C1C1C1C1C1C1C1C",
    "30-31": "23232323232323232525252525252525",
    "32-33": "26262626262626262929292929292929",
    "34-35": "2A2A2A2A2A2A2A2A2C2C2C2C2C2C2C2C",
    "36-37": "2F2F2F2F2F2F2F2F3131313131313131",
    "38-39": "01010101010101010101010101010101",
}
"""The variant test LMK that every simulator and every device in test status knows: no secret."""


class ParityError(Exception):
    """The unwrapped key lacks odd parity: another LMK, another type, or a damaged cryptogram."""


class VariantLmk:
    """One variant LMK. ``test`` marks the published set, which must never hold a live key."""

    def __init__(self, pairs: Mapping[str, bytes], *, test: bool) -> None:
        self.test = test
        self._wrapping = {code: bytes(pairs[pair]) for code, pair in _PAIR_OF.items()}
        self.check_value = _check_value(pairs)
        self._unwrapped = lru_cache(maxsize=UNWRAPPED_MAX)(self._unwrap)

    def __repr__(self) -> str:
        return f"<variant LMK, {'test' if self.test else 'live'}>"

    def wrap(self, key_type: str, scheme: str, clear: bytes) -> Cryptogram:
        """``clear`` under the LMK as a key of this type. CommandError 26: wrong scheme."""
        return keys.wrap(self._key_for(key_type), scheme, clear)

    def unwrap(self, key_type: str, key: Cryptogram) -> bytes:
        """The clear key, remembered while there is room. Raises ParityError."""
        return self._unwrapped(key_type, key)

    def forget(self) -> None:
        """Drop the remembered clear keys (best effort: Python cannot wipe ``bytes``)."""
        self._unwrapped.cache_clear()

    def _unwrap(self, key_type: str, key: Cryptogram) -> bytes:
        clear = keys.unwrap(self._key_for(key_type), key)
        if not primitives.has_odd_parity(clear):
            raise ParityError
        return clear

    def _key_for(self, key_type: str) -> bytes:
        if key_type not in keys.KEY_TYPES:
            raise CommandError("04", "key_type")
        wrapping = bytearray(self._wrapping[key_type[1:]])
        wrapping[0] ^= _VARIANTS[int(key_type[0])]
        return bytes(wrapping)


def published_test_lmk() -> VariantLmk:
    """The published variant test set."""
    return VariantLmk({name: bytes.fromhex(pair) for name, pair in TEST_PAIRS.items()}, test=True)


def _check_value(pairs: Mapping[str, bytes]) -> str:
    """16 hex over the whole set: SHA-256 of all pairs' check values, cut. Our own rule: the rule
    of the certified devices is not public."""
    together = b"".join(primitives.check_value(pairs[name]) for name in sorted(pairs))
    return sha256(together).hexdigest()[:16].upper()
