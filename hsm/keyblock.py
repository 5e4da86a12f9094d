"""Key blocks under a key-block LMK: scheme S, version 0 (triple DES) and version 1 (AES-256).

Version 0 is TR-31 A under a triple-length key. Version 1 is *not* TR-31 D: it chains from the
header and authenticates the cryptogram. Layouts: the published test blocks of both versions.
"""

from collections.abc import Callable
from hmac import compare_digest
from typing import Final, NamedTuple, Protocol

from hsm import primitives
from hsm.block_header import BlockHeader, read_header
from hsm.errors import CommandError

_HEX: Final = frozenset("0123456789ABCDEFabcdef")


class BlockCipher(Protocol):
    """The two keys of a key-block LMK at work; a token may hold them instead of this process."""

    version: str
    """First character of its key blocks: ``0`` or ``1``."""
    unit: int
    """Bytes of a cipher block."""
    mac_length: int
    """Bytes of the MAC that a key block carries."""

    def encrypt(self, iv: bytes, data: bytes) -> bytes: ...

    def decrypt(self, iv: bytes, data: bytes) -> bytes: ...

    def mac(self, data: bytes) -> bytes:
        """The whole MAC; a key block carries its first ``mac_length`` bytes."""
        ...


class TdesBlockCipher:
    """Version 0, and TR-31 A and C, which are built alike. An LMK has 24 bytes, a ZMK 16 or 24."""

    unit = 8
    mac_length = 4

    def __init__(self, wrapping: bytes, version: str = "0") -> None:
        self.version = version
        self._cipher_key = bytes(byte ^ 0x45 for byte in wrapping)
        self._mac_key = bytes(byte ^ 0x4D for byte in wrapping)

    def encrypt(self, iv: bytes, data: bytes) -> bytes:
        return primitives.cbc_encrypt(self._cipher_key, iv, data)

    def decrypt(self, iv: bytes, data: bytes) -> bytes:
        return primitives.cbc_decrypt(self._cipher_key, iv, data)

    def mac(self, data: bytes) -> bytes:
        return primitives.cbc_mac(self._mac_key, data)


class AesBlockCipher:
    """Version 1. An LMK has 32 bytes; its two working keys are derived as in TR-31 D."""

    version = "1"
    unit = 16
    mac_length = 8

    def __init__(self, lmk: bytes) -> None:
        self._cipher_key, self._mac_key = derive_block_keys(lmk)

    def encrypt(self, iv: bytes, data: bytes) -> bytes:
        return primitives.aes_cbc_encrypt(self._cipher_key, iv, data)

    def decrypt(self, iv: bytes, data: bytes) -> bytes:
        return primitives.aes_cbc_decrypt(self._cipher_key, iv, data)

    def mac(self, data: bytes) -> bytes:
        return primitives.aes_cmac(self._mac_key, data)


_AES_NAMES: Final = {16: b"\x00\x02", 24: b"\x00\x03", 32: b"\x00\x04"}


def derive_block_keys(key: bytes) -> tuple[bytes, bytes]:
    """Encryption and MAC key of an AES key-block protection key of 16, 24 or 32 bytes.

    CMAC in counter mode over ``counter, usage (0000 | 0001), 00, algorithm, length in bits``
    (TR-31:2018, 5.3.2.3).
    """
    bits = (8 * len(key)).to_bytes(2, "big")

    def derived(usage: bytes) -> bytes:
        rounds = range(1, 2 + (len(key) > primitives.AES_BLOCK))
        parts = [
            primitives.aes_cmac(
                key, bytes((counter,)) + usage + b"\x00" + _AES_NAMES[len(key)] + bits
            )
            for counter in rounds
        ]
        return b"".join(parts)[: len(key)]

    return derived(b"\x00\x00"), derived(b"\x00\x01")


class Unpacked(NamedTuple):
    """What a sound key block holds."""

    header: BlockHeader
    clear: bytes


def pack(
    cipher: BlockCipher, header: BlockHeader, clear: bytes, entropy: Callable[[int], bytes]
) -> str:
    """The key block, without its leading ``S``. The padding is random."""
    plain = (8 * len(clear)).to_bytes(2, "big") + clear
    plain += entropy(-len(plain) % cipher.unit)
    text = header.text(2 * (len(plain) + cipher.mac_length), cipher.unit).encode("ascii")
    body = cipher.encrypt(text[: cipher.unit], plain)
    mac = cipher.mac(text + body)[: cipher.mac_length]
    return text.decode("ascii") + (body + mac).hex().upper()


def unpack(cipher: BlockCipher, block: str, where: str = "key block") -> Unpacked:
    """Header and clear key. CommandError A4 when anything was changed or the version is not the
    cipher's, B2 … BC when the header cannot be read."""
    header, end = read_header(block, where)
    if header.version != cipher.version:
        raise CommandError("A4", where)
    data = cryptogram_of(block, end, cipher.unit, cipher.mac_length, where)
    body, mac = data[: -cipher.mac_length], data[-cipher.mac_length :]
    text = block[:end].encode("ascii")
    if not compare_digest(cipher.mac(text + body)[: cipher.mac_length], mac):
        raise CommandError("A4", where)
    plain = cipher.decrypt(text[: cipher.unit], body)
    return Unpacked(header, key_of(plain, where))


def cryptogram_of(block: str, end: int, unit: int, mac_length: int, where: str) -> bytes:
    """The bytes behind a header that ends at ``end``: whole units and a MAC. CommandError AC: the
    optional blocks do not fill whole units; B2: the rest is no cryptogram."""
    if end % unit:
        raise CommandError("AC", where)
    digits = block[end:]
    if len(digits) % 2 or not _HEX.issuperset(digits):
        raise CommandError("B2", where)
    length = len(digits) // 2 - mac_length
    if length < unit or length % unit:
        raise CommandError("B2", where)
    return bytes.fromhex(digits)


def key_of(plain: bytes, where: str) -> bytes:
    """The key behind its length in bits; CommandError A4 when the length cannot be."""
    bits = int.from_bytes(plain[:2], "big")
    if bits % 8 or not 0 < bits // 8 <= len(plain) - 2:
        raise CommandError("A4", where)
    return plain[2 : 2 + bits // 8]
