"""Local master keys (LMK 本地主密钥) at work: wrapping and unwrapping keys, in both styles.

Variant style: a key of type ``VPP`` is wrapped by LMK pair ``PP`` with variant ``V`` XORed into its
first byte. Key-block style: the key's own header says what it is, and a MAC binds the two.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Final, NamedTuple, Protocol

from hsm import keyblock, keys, primitives
from hsm.block_header import DES_LETTERS, KEY_BYTES, Attributes, BlockHeader
from hsm.errors import CommandError
from hsm.keyblock import AesBlockCipher, BlockCipher, TdesBlockCipher, Unpacked
from hsm.keys import Cryptogram
from hsm.lmk_material import PAIR_NAMES, LmkMaterial, published_test_material
from hsm.uses import Use

UNWRAPPED_MAX: Final = 4096
"""Clear keys remembered by cryptogram: four for each of a thousand terminals, 24 bytes each."""

VARIANTS: Final = bytes((0x00, 0xA6, 0x5A, 0x6A, 0xDE, 0x2B, 0x50, 0x74, 0x9C, 0xFA))
"""By the type's first digit: XORed into the first byte of the pair."""

PAIR_OF: Final = {
    "00": "04-05", "01": "06-07", "02": "14-15", "03": "16-17", "04": "18-19", "05": "20-21",
    "06": "22-23", "07": "24-25", "08": "26-27", "09": "28-29", "0A": "30-31", "0B": "32-33",
    "0C": "34-35", "0D": "36-37",
}  # fmt: skip
"""Pair code (the last two characters of a key type) → LMK pair."""

_TABLE: Final = ord("T")
"""XORed into every byte of a triple-DES LMK for decimalisation tables, as ``E`` and ``M`` are for
key blocks; found with a published encrypted table and its clear one, 0123456789012345."""

_PIN_PAIR: Final = PAIR_NAMES.index("02-03")


class ParityError(Exception):
    """The unwrapped key lacks odd parity: another LMK, another type, or a damaged cryptogram."""


class HeldKey(NamedTuple):
    """A clear key inside the service, and what is known of it."""

    clear: bytes
    algorithm: str
    """``D`` DES, ``T`` triple DES, ``A`` AES, ``4`` SM4."""
    header: BlockHeader | None = None
    """Of a key that was in a key block."""

    def __repr__(self) -> str:
        return f"<held key {self.algorithm}, {len(self.clear)} bytes>"


class NewKey(NamedTuple):
    """How a key is to be kept: by type and scheme, or with the attributes of a key block."""

    key_type: str
    scheme: str
    attributes: Attributes | BlockHeader | None = None


class Lmk(Protocol):
    """One LMK of either style."""

    lmk_id: str
    scheme: str
    test: bool
    check_value: str
    pin_key: bytes
    """Encrypts PINs between commands (LMK pair 02-03, or derived)."""

    def keep(self, new: NewKey, clear: bytes, entropy: Callable[[int], bytes]) -> Cryptogram:
        """The key under this LMK. CommandError 26, 27, 28, A1, A6, A7: it cannot be kept so."""
        ...

    def hold(self, use: Use, key: Cryptogram, where: str = "key") -> HeldKey:
        """The clear key for this use. ParityError, or CommandError 26, 28, A1 … A8."""
        ...

    def forget(self) -> None:
        """Drop the remembered clear keys (best effort: Python cannot wipe ``bytes``)."""
        ...


class VariantLmk:
    """A variant LMK. ``test`` marks one that must never hold a live key."""

    scheme = "variant"

    def __init__(self, material: LmkMaterial) -> None:
        self.lmk_id, self.test = material.lmk_id, material.test
        self.check_value = material.check_value
        pairs = [material.secret[at : at + 16] for at in range(0, len(material.secret), 16)]
        self._wrapping = {code: pairs[PAIR_NAMES.index(name)] for code, name in PAIR_OF.items()}
        self.pin_key = pairs[_PIN_PAIR]
        self._unwrapped = lru_cache(maxsize=UNWRAPPED_MAX)(self._unwrap)

    def __repr__(self) -> str:
        return f"<variant LMK {self.lmk_id}, {'test' if self.test else 'live'}>"

    def keep(self, new: NewKey, clear: bytes, entropy: Callable[[int], bytes]) -> Cryptogram:
        return self.wrap(new.key_type, new.scheme, clear)

    def hold(self, use: Use, key: Cryptogram, where: str = "key") -> HeldKey:
        return self._unwrapped(use.key_type, key)

    def wrap(self, key_type: str, scheme: str, clear: bytes) -> Cryptogram:
        """``clear`` under the LMK as a key of this type. CommandError 26: wrong scheme."""
        return keys.wrap(self._key_for(key_type), scheme, clear)

    def unwrap(self, key_type: str, key: Cryptogram) -> bytes:
        """The clear key, remembered while there is room. Raises ParityError."""
        return self._unwrapped(key_type, key).clear

    def forget(self) -> None:
        self._unwrapped.cache_clear()

    def _unwrap(self, key_type: str, key: Cryptogram) -> HeldKey:
        if key.in_block:
            raise CommandError("A1", "key")
        clear = keys.unwrap(self._key_for(key_type), key)
        if not primitives.has_odd_parity(clear):
            raise ParityError
        return HeldKey(clear, DES_LETTERS[len(clear)])

    def _key_for(self, key_type: str) -> bytes:
        if key_type == keys.BLOCK_TYPE:
            raise CommandError("28", "key_type")
        if key_type not in keys.KEY_TYPES:
            raise CommandError("04", "key_type")
        wrapping = bytearray(self._wrapping[key_type[1:]])
        wrapping[0] ^= VARIANTS[int(key_type[0])]
        return bytes(wrapping)


class BlockLmk:
    """A key-block LMK, ``tdes-block`` or ``aes-block``."""

    def __init__(self, material: LmkMaterial, cipher: BlockCipher | None = None) -> None:
        """``cipher``: the LMK's two keys at work elsewhere, in a token."""
        self.lmk_id, self.scheme, self.test = material.lmk_id, material.scheme, material.test
        self.check_value = material.check_value
        aes = material.scheme == "aes-block"
        maker = AesBlockCipher if aes else TdesBlockCipher
        self._cipher: BlockCipher = cipher or maker(material.secret)
        halves = (self._cipher.mac(b"PIN under LMK %d " % half) for half in (1, 2))
        self.pin_key = b"".join(half[:8] for half in halves)
        self.table_key = b"" if aes or cipher else bytes(b ^ _TABLE for b in material.secret)
        """Encrypts decimalisation tables (empty: this LMK takes clear ones only)."""
        self._unpacked = lru_cache(maxsize=UNWRAPPED_MAX)(self._unpack)

    def __repr__(self) -> str:
        return f"<{self.scheme} LMK {self.lmk_id}, {'test' if self.test else 'live'}>"

    def keep(self, new: NewKey, clear: bytes, entropy: Callable[[int], bytes]) -> Cryptogram:
        if new.scheme != "S":
            raise CommandError("26", "scheme_lmk")
        header = self._header(new, len(clear))
        if header.algorithm in "DT" and header.algorithm != DES_LETTERS.get(len(clear)):
            raise CommandError("A7", "attributes")
        if header.algorithm == "A" and self._cipher.version == "0":
            # A triple-DES key would protect a stronger one.
            raise CommandError("27", "attributes")
        return Cryptogram("S", keyblock.pack(self._cipher, header, clear, entropy))

    def hold(self, use: Use, key: Cryptogram, where: str = "key") -> HeldKey:
        if key.scheme != "S":
            raise CommandError("A1", where)
        if key.owner != self.lmk_id:
            raise CommandError("A2", where)
        header, clear = self._unpacked(key.body)
        if use.modes and header.key_version.startswith("c"):
            # A component is no key: it may only be formed into one.
            raise CommandError("A9", where)
        if use.usages and header.usage not in use.usages:
            raise CommandError("A6", where)
        if use.algorithms and header.algorithm not in use.algorithms:
            raise CommandError("A7", where)
        if use.modes and header.mode not in use.modes:
            raise CommandError("A8", where)
        return HeldKey(clear, header.algorithm, header)

    def forget(self) -> None:
        self._unpacked.cache_clear()

    def _header(self, new: NewKey, length: int) -> BlockHeader:
        if new.attributes is None:
            raise CommandError("A6", "attributes")
        version = self._cipher.version
        if isinstance(new.attributes, BlockHeader):
            return new.attributes.exported(version, self.lmk_id)
        named = new.attributes.algorithm
        if named and KEY_BYTES.get(named, length) != length:
            raise CommandError("A7", "attributes")
        return new.attributes.header(version, self.lmk_id, length)

    def _unpack(self, block: str) -> Unpacked:
        unpacked = keyblock.unpack(self._cipher, block)
        if unpacked.header.algorithm in "DT" and not primitives.has_odd_parity(unpacked.clear):
            raise ParityError
        return unpacked


def build_lmk(material: LmkMaterial) -> VariantLmk | BlockLmk:
    """The LMK of this material at work in this process."""
    return VariantLmk(material) if material.scheme == "variant" else BlockLmk(material)


def published_test_lmk() -> VariantLmk:
    """The published variant test set, in slot 00."""
    return VariantLmk(published_test_material())


def published_test_lmks() -> dict[str, Lmk]:
    """Slot 00 the variant set, 01 the triple-DES and 02 the AES key-block LMK."""
    schemes = {"00": "variant", "01": "tdes-block", "02": "aes-block"}
    return {slot: build_lmk(published_test_material(s, slot)) for slot, s in schemes.items()}
