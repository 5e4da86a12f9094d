"""A key on its way between this service and another one: under a ZMK, in every form there is.

Schemes U, T, X, Y, Z: hex under a DES key, nothing said about its use; X also an SM4 key under an
SM4 key, as Chinese banks send their working keys (our own addition). R: a TR-31 key block. S: a key
block of the payShield's own kind, with ``FF`` in the place of the LMK's id.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Final, NamedTuple

from hsm import keyblock, keys, primitives, tr31
from hsm.block_header import BlockHeader
from hsm.errors import CommandError
from hsm.keyblock import AesBlockCipher, BlockCipher, TdesBlockCipher
from hsm.keys import Cryptogram
from hsm.lmk import HeldKey

UNDER_ZMK: Final = "FF"
_SM4: Final = primitives.BLOCK_CIPHERS["4"]
_SM4_SCHEME: Final = "X"
_DES_STRENGTH: Final = {8: 1, 16: 2, 24: 3}
_AES_STRENGTH: Final = {16: 4, 24: 5, 32: 6}

_LETTERED: Final = {
    "51": "K0", "52": "K0", "54": "K0", "71": "P0", "72": "P0", "21": "D0", "22": "D0",
    "23": "D0", "11": "C0", "12": "C0", "13": "C0", "41": "B0",
}  # fmt: skip
"""Usages that only the payShield family knows → what TR-31 calls them."""


class Received(NamedTuple):
    """A key that came under a ZMK. ``header`` is None where nothing was said about its use."""

    clear: bytes
    algorithm: str
    header: BlockHeader | None

    def __repr__(self) -> str:
        return f"<received key {self.algorithm}, {len(self.clear)} bytes>"


def receive(zmk: HeldKey, key: Cryptogram, where: str = "key_zmk") -> Received:
    """Open a key under a ZMK; parity not looked at. CommandError A4, BB, 26, B2 … BC."""
    if key.in_block:
        if key.scheme == "R":
            _require(zmk, key.body[0], where)
            header, clear = tr31.unpack(zmk.clear, key.body, where)
        else:
            header, clear = keyblock.unpack(_cipher(zmk, key.body[0], where), key.body, where)
        return Received(clear, header.algorithm, header)
    if zmk.algorithm == "4" and key.scheme == _SM4_SCHEME:
        clear = _SM4.decrypt(zmk.clear, bytes.fromhex(key.body))
        return Received(clear, "4", None)
    if zmk.algorithm not in "DT":
        raise CommandError("26", where)
    clear = keys.unwrap(zmk.clear, key)
    return Received(clear, "D" if len(clear) == primitives.BLOCK else "T", None)


class Manner(NamedTuple):
    """How a key shall go out."""

    scheme: str
    version: str = ""
    """Of a TR-31 block; empty: B under triple DES, D under AES."""
    export: str = ""
    """Exportability that the block sent shall have; empty: as the key has it."""


def send(zmk: HeldKey, key: HeldKey, manner: Manner, entropy: Callable[[int], bytes]) -> Cryptogram:
    """Put a key under a ZMK of at least its strength. A key under a variant LMK needs a header made
    for it where it goes into a block. CommandError 26, 27, A6, A9, AA, BB."""
    if _strength(zmk) < _strength(key):
        raise CommandError("27", "zmk")
    header, scheme = key.header, manner.scheme
    if header is not None and (header.export == "N" or header.key_version.startswith("c")):
        raise CommandError("AA" if header.export == "N" else "A9", "key")
    if scheme in keys.BLOCK_SCHEMES:
        if header is None:
            raise CommandError("A6", "attributes")
        sent = replace(header, export=narrowed(header.export, manner.export))
        if scheme == "R":
            return Cryptogram("R", _in_tr31(zmk, key.clear, sent, manner.version, entropy))
        version = "1" if zmk.algorithm == "A" else "0"
        cipher = _cipher(zmk, version, "zmk")
        sent = sent.exported(version, UNDER_ZMK)
        return Cryptogram("S", keyblock.pack(cipher, sent, key.clear, entropy))
    if header is not None and header.export != "S":
        # E: in a key block only, so that its use stays bound to it.
        raise CommandError("AA", "key")
    if zmk.algorithm == key.algorithm == "4" and scheme == _SM4_SCHEME:
        return Cryptogram(scheme, _SM4.encrypt(zmk.clear, key.clear).hex().upper())
    if zmk.algorithm not in "DT" or key.algorithm not in "DT":
        raise CommandError("26", "scheme_zmk")
    return keys.wrap(zmk.clear, scheme, key.clear)


def _in_tr31(
    zmk: HeldKey, clear: bytes, header: BlockHeader, version: str, entropy: Callable[[int], bytes]
) -> str:
    version = version or ("D" if zmk.algorithm == "A" else "B")
    _require(zmk, version, "zmk")
    sent = replace(
        header, version=version, reserved="00", usage=_LETTERED.get(header.usage, header.usage)
    )
    return tr31.pack(zmk.clear, sent, clear, entropy)


def narrowed(export: str, wanted: str) -> str:
    """Exportability never grows: from S to E or N, from E to N. CommandError AA."""
    if not wanted or wanted == "N" or export == "S":
        return wanted or export
    if wanted != export:
        raise CommandError("AA", "export attribute")
    return export


def _require(zmk: HeldKey, version: str, where: str) -> None:
    if version not in tr31.VERSIONS or not tr31.takes(version, zmk.clear, aes=zmk.algorithm == "A"):
        raise CommandError("BB", where)


def _cipher(zmk: HeldKey, version: str, where: str) -> BlockCipher:
    if version == "0" and zmk.algorithm == "T":
        return TdesBlockCipher(zmk.clear)
    if version == "1" and zmk.algorithm == "A":
        return AesBlockCipher(zmk.clear)
    raise CommandError("BB", where)


def _strength(key: HeldKey) -> int:
    """Comparable strengths: single, double, triple DES, AES-128 and SM4, AES-192, AES-256."""
    if key.algorithm in "DT":
        return _DES_STRENGTH[len(key.clear)]
    return _AES_STRENGTH[len(key.clear)]
