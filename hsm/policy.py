"""What this key service refuses although it could do it."""

from dataclasses import dataclass, field
from typing import Final

FRAME_MAX: Final = 32_768
"""Longest frame (header, command, data) in bytes; NO announces it as buffer flag 3."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """The switches of one daemon; the defaults are the strict ones."""

    header_length: int = 4
    sockets_max: int = 64
    pin_translations: frozenset[tuple[str, str]] = frozenset({("01", "01")})
    """PIN block formats (source, destination) that CA may translate (PCI PIN 3-3)."""
    kept_home: frozenset[str] = frozenset({"00B"})
    """Types that no ZMK may bring in or take out. Who knows a key outside could otherwise bring
    the bank's PIN key in as a DEK, and M2 would decrypt PIN blocks with it."""
    disabled: frozenset[str] = field(default_factory=frozenset)
    """Commands that answer 68."""
