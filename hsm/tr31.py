"""TR-31 (X9.143) key blocks, versions A, B, C and D: keys as banks exchange them.

A and C bind by variants of the wrapping key, as scheme S version 0 does; B (triple DES) and D (AES)
derive two keys from it, authenticate the plaintext, and start the chain from the MAC.
"""

from collections.abc import Callable
from hmac import compare_digest
from typing import Final, NamedTuple

from hsm import keyblock, primitives
from hsm.block_header import BlockHeader, read_header
from hsm.errors import CommandError
from hsm.keyblock import TdesBlockCipher, Unpacked, derive_block_keys, key_of

VERSIONS: Final = ("A", "B", "C", "D")

_VARIANT: Final = ("A", "C")
_TDES_NAMES: Final = {16: b"\x00\x00", 24: b"\x00\x01"}
_TDES_LENGTHS: Final = (16, 24)
_AES_LENGTHS: Final = (16, 24, 32)


class _Binding(NamedTuple):
    """What versions B and D differ in."""

    cipher_key: bytes
    mac_key: bytes
    unit: int
    """Bytes of a cipher block, and of the MAC, which is the first IV."""
    encrypt: Callable[[bytes, bytes, bytes], bytes]
    decrypt: Callable[[bytes, bytes, bytes], bytes]
    cmac: Callable[[bytes, bytes], bytes]


def takes(version: str, wrapping: bytes, *, aes: bool) -> bool:
    """Whether a key of this kind and length can protect blocks of this version."""
    if version == "D":
        return aes and len(wrapping) in _AES_LENGTHS
    return not aes and len(wrapping) in _TDES_LENGTHS


def pack(
    wrapping: bytes, header: BlockHeader, clear: bytes, entropy: Callable[[int], bytes]
) -> str:
    """The key block under ``wrapping``, of the version that its header names. The padding is
    random."""
    if header.version in _VARIANT:
        return keyblock.pack(TdesBlockCipher(wrapping, header.version), header, clear, entropy)
    binding = _bind(header.version, wrapping)
    plain = (8 * len(clear)).to_bytes(2, "big") + clear
    plain += entropy(-len(plain) % binding.unit)
    text = header.text(2 * (len(plain) + binding.unit), binding.unit)
    mac = binding.cmac(binding.mac_key, text.encode("ascii") + plain)
    body = binding.encrypt(binding.cipher_key, mac, plain)
    return text + (body + mac).hex().upper()


def unpack(wrapping: bytes, block: str, where: str = "key block") -> Unpacked:
    """Header and clear key. CommandError A4 when anything was changed, B2 … BC when it cannot be
    read."""
    header, end = read_header(block, where)
    if header.version in _VARIANT:
        return keyblock.unpack(TdesBlockCipher(wrapping, header.version), block, where)
    binding = _bind(header.version, wrapping)
    data = keyblock.cryptogram_of(block, end, binding.unit, binding.unit, where)
    body, mac = data[: -binding.unit], data[-binding.unit :]
    plain = binding.decrypt(binding.cipher_key, mac, body)
    made = binding.cmac(binding.mac_key, block[:end].encode("ascii") + plain)
    if not compare_digest(made, mac):
        raise CommandError("A4", where)
    return Unpacked(header, key_of(plain, where))


def _bind(version: str, wrapping: bytes) -> _Binding:
    if version == "D":
        return _Binding(
            *derive_block_keys(wrapping), primitives.AES_BLOCK,
            primitives.aes_cbc_encrypt, primitives.aes_cbc_decrypt, primitives.aes_cmac,
        )  # fmt: skip
    return _Binding(
        *_derive_tdes(wrapping), primitives.BLOCK,
        primitives.cbc_encrypt, primitives.cbc_decrypt, primitives.tdes_cmac,
    )  # fmt: skip


def _derive_tdes(key: bytes) -> tuple[bytes, bytes]:
    """Encryption and MAC key of version B (TR-31:2010, 5.3.2.1): CMAC in counter mode over
    ``counter, usage, 00, algorithm, length in bits``."""
    name, bits = _TDES_NAMES[len(key)], (8 * len(key)).to_bytes(2, "big")

    def derived(usage: bytes) -> bytes:
        counters = range(1, 1 + len(key) // primitives.BLOCK)
        return b"".join(
            primitives.tdes_cmac(key, bytes((counter,)) + usage + b"\x00" + name + bits)
            for counter in counters
        )

    return derived(b"\x00\x00"), derived(b"\x00\x01")
