"""What a ceremony makes: how long it is, how it is checked, and which values are too weak."""

from dataclasses import dataclass
from hashlib import sha256
from typing import Final, Protocol

from hsm import primitives
from hsm.lmk_material import SCHEMES, LmkMaterial

_PAIR_BYTES: Final = 16
_CHECK_BYTES: Final = 3


class Plan(Protocol):
    """One kind of key that is put together from components of its own length."""

    @property
    def length(self) -> int:
        """Bytes of the key, and of each component."""
        ...

    def component_check_value(self, component: memoryview) -> str:
        """6 hex: what the slip of a component shows."""
        ...

    def finished(self, joined: memoryview) -> bytes:
        """The key itself: the components XORed, of odd parity where it is a DES key."""
        ...

    def weak(self, key: bytes) -> bool:
        """Whether it must not be used: all zeros, a weak DES key, equal halves."""
        ...

    def check_value(self, key: bytes) -> str:
        """What all present compare at the end."""
        ...


@dataclass(frozen=True, slots=True)
class LmkPlan:
    """An LMK of any style."""

    lmk_id: str
    scheme: str
    test: bool

    @property
    def length(self) -> int:
        """320, 24 or 32 bytes."""
        return SCHEMES[self.scheme]

    def component_check_value(self, component: memoryview) -> str:
        """By our own rule: SHA-256 of a label, the scheme and the component."""
        label = f"yinyitong LMK component check value:{self.scheme}:".encode("ascii")
        return sha256(label + component).hexdigest()[: 2 * _CHECK_BYTES].upper()

    def finished(self, joined: memoryview) -> bytes:
        """With odd parity, but for AES."""
        clear = bytes(joined)
        return clear if self.scheme == "aes-block" else primitives.odd_parity(clear)

    def weak(self, key: bytes) -> bool:
        """Every pair of a variant LMK is looked at."""
        if self.scheme == "aes-block":
            return not any(key)
        size = _PAIR_BYTES if self.scheme == "variant" else len(key)
        parts = [key[at : at + size] for at in range(0, len(key), size)]
        return any(map(primitives.is_weak, parts)) or len(set(parts)) < len(parts)

    def check_value(self, key: bytes) -> str:
        """16 hex, as NC shows it."""
        return self.material(key).check_value

    def material(self, key: bytes) -> LmkMaterial:
        """The LMK, ready to be sealed."""
        return LmkMaterial(self.lmk_id, self.scheme, self.test, key)


@dataclass(frozen=True, slots=True)
class KeyPlan:
    """A DES key of 8, 16 or 24 bytes: a ZMK or TMK whose components a bank sends."""

    length: int

    def component_check_value(self, component: memoryview) -> str:
        """As banks print it: zeros encrypted under the component."""
        return self.check_value(bytes(component))

    def finished(self, joined: memoryview) -> bytes:
        """With odd parity."""
        return primitives.odd_parity(bytes(joined))

    def weak(self, key: bytes) -> bool:
        """Weak, semi-weak, or of equal halves."""
        return primitives.is_weak(key)

    def check_value(self, key: bytes) -> str:
        """6 hex of zeros encrypted under it."""
        return primitives.check_value(key)[:_CHECK_BYTES].hex().upper()
