"""The clear parts of a local master key: what a ceremony makes, a sealed file keeps, a slot loads.

``variant``: 20 pairs of 16 bytes, 00-01 … 38-39, one after the other. ``tdes-block``: 24 bytes.
``aes-block``: 32 bytes.
"""

from dataclasses import dataclass, field
from hashlib import sha256
from hmac import compare_digest
from typing import Final

SCHEMES: Final = {"variant": 320, "tdes-block": 24, "aes-block": 32}
"""Scheme → bytes of its LMK."""

PAIR_NAMES: Final = tuple(f"{at:02d}-{at + 1:02d}" for at in range(0, 40, 2))

_TEST_PAIRS: Final = (
    "01010101010101017902CD1FD36EF8BA" "20202020202020203131313131313131"
    "40404040404040405151515151515151" "61616161616161617070707070707070"
    "80808080808080809191919191919191" "A1A1A1A1A1A1A1A1B0B0B0B0B0B0B0B0"
    "C1C1010101010101D0D0010101010101" "E0E0010101010101F1F1010101010101"
    "1C587F1C13924FEF0101010101010101" "01010101010101010101010101010101"
    "02020202020202020404040404040404" "07070707070707071010101010101010"
    "13131313131313131515151515151515" "16161616161616161919191919191919"
    "1A1A1A1A1A1A1A1A1C1C1C1C1C1C1C1C" "23232323232323232525252525252525"
    "26262626262626262929292929292929" "2A2A2A2A2A2A2A2A2C2C2C2C2C2C2C2C"
    "2F2F2F2F2F2F2F2F3131313131313131" "01010101010101010101010101010101"
)  # fmt: skip
_TEST_SECRETS: Final = {
    "variant": bytes.fromhex(_TEST_PAIRS),
    "tdes-block": bytes.fromhex("0123456789ABCDEF8080808080808080FEDCBA9876543210"),
    "aes-block": bytes.fromhex("9B71333A13F9FAE72F9D0E2DAB4AD6784718012F9244033F3F26A2DE0C8AA11A"),
}
"""The published test LMKs that every simulator and every device in test status knows: no secret."""


@dataclass(frozen=True, slots=True)
class LmkMaterial:
    """One LMK in the clear. ValueError when scheme, id and length do not belong together."""

    lmk_id: str
    """Two digits: the slot."""
    scheme: str
    test: bool
    """Test status: such an LMK must never hold a live key, nor a live one a test key."""
    secret: bytes = field(repr=False)

    def __post_init__(self) -> None:
        """Check the shape; never names a value."""
        if len(self.lmk_id) != 2 or not (self.lmk_id.isascii() and self.lmk_id.isdecimal()):
            raise ValueError("lmk_id: two digits are needed")
        if self.scheme not in SCHEMES:
            raise ValueError(f"scheme: one of {', '.join(SCHEMES)}")
        if len(self.secret) != SCHEMES[self.scheme]:
            raise ValueError(f"a {self.scheme} LMK has {SCHEMES[self.scheme]} bytes")

    @property
    def published(self) -> bool:
        """Whether it is one of the published test LMKs, whatever its status says."""
        return compare_digest(self.secret, _TEST_SECRETS[self.scheme])

    @property
    def check_value(self) -> str:
        """16 hex by our own rule, SHA-256 of a label, the scheme and the key: the rule of the
        certified devices is not public, and no equality with theirs is claimed."""
        label = b"yinyitong LMK check value:" + self.scheme.encode("ascii") + b":"
        return sha256(label + self.secret).hexdigest()[:16].upper()


def published_test_material(scheme: str = "variant", lmk_id: str = "00") -> LmkMaterial:
    """A published test LMK: ``variant``, ``tdes-block`` or ``aes-block``."""
    return LmkMaterial(lmk_id, scheme, True, _TEST_SECRETS[scheme])
