"""What this key service refuses although it could do it."""

from dataclasses import dataclass
from typing import Final

from hsm.profile import PAYSHIELD, Profile

FRAME_MAX: Final = 32_768
"""Longest frame (header, command, data) in bytes; NO announces it as buffer flag 3."""

PIN_FORMATS: Final = ("01", "02", "03", "04", "05", "34", "47", "48")
"""PIN block codes: ISO 0, Docutel, Diebold, PLUS, ISO 1, ISO 2, ISO 3, ISO 4."""

OWN_PIN_FORMATS: Final = ("90", "91", "92")
"""The payShield profile's codes for what Chinese banks use: no account, SM4, SM4 padded."""

STRICT_TRANSLATIONS: Final = frozenset({("01", "01"), ("01", "47"), ("01", "48"), ("47", "48"),
                                        ("48", "48")})  # fmt: skip
"""(source, destination) that PCI PIN 3-3 allows where the account stays the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """The switches of one daemon; the defaults are the strict ones."""

    test: bool = False
    """Test mode: test LMKs only. Otherwise production: live LMKs only."""
    header_length: int = 4
    sockets_max: int = 64
    pin_formats: frozenset[str] = frozenset({"01", "47", "48"})
    """PIN block codes that commands take; another known one answers 69."""
    pin_translations: frozenset[tuple[str, str]] = STRICT_TRANSLATIONS
    """PIN block formats (source, destination) that may be translated; others answer 69."""
    kept_home: frozenset[str] = frozenset({"00B"})
    """Types that no ZMK may bring in or take out. Who knows a key outside could otherwise bring
    the bank's PIN key in as a DEK, and M2 would decrypt PIN blocks with it."""
    decrypting: frozenset[str] = frozenset({"00B"})
    """Key types under which M2 decrypts and M4 translates."""
    separate_002: bool = False
    """PCI HSM key types: TPK 70D, TMK 80D, PVK 002. Otherwise all three are 002."""
    diagnostics: bool = False
    """Whether a check may show what it expects: KQ and KW when it failed, M8 of a part of a message
    under a key that only verifies."""
    profile: Profile = PAYSHIELD
    """The dialect that hosts speak."""
    disabled: frozenset[str] = frozenset({"NG", "BA"})
    """Commands that answer 68."""
    needing_authority: frozenset[str] = frozenset(
        {"A2", "A4", "A8", "BW", "FE", "FM", "GC", "MG", "NG", "BA",
         "BK", "CU", "DE", "DG", "DU", "EE", "FW"}
    )  # fmt: skip
    """Commands that answer 17 outside the authorised state: they form keys, take them out, or move
    them to another LMK; or they are a card issuer's and answer something a PIN can be found by (an
    offset under a decimalisation table of the caller's choice, a PVV)."""

    @property
    def tpk_type(self) -> str:
        """Key type of a terminal PIN key."""
        return "70D" if self.separate_002 else "002"

    @property
    def tmk_type(self) -> str:
        """Key type of a terminal master key."""
        return "80D" if self.separate_002 else "002"


def open_policy(header_length: int = 4, sockets_max: int = 64) -> Policy:
    """Everything on, for the published test LMKs only: every command authorised, every PIN block
    format and translation, classic key types."""
    formats = frozenset((*PIN_FORMATS, *OWN_PIN_FORMATS))
    every = frozenset((source, target) for source in formats for target in formats)
    return Policy(
        test=True,
        header_length=header_length,
        sockets_max=sockets_max,
        pin_formats=formats,
        pin_translations=every,
        kept_home=frozenset(),
        decrypting=frozenset({"00A", "00B", "30B"}),
        diagnostics=True,
        disabled=frozenset(),
        needing_authority=frozenset(),
    )
