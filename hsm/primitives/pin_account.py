"""The account of a PIN block."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PinAccount:
    """The account of a PIN block, in the parts that forms take. Digits."""

    rightmost: str
    """12, without the check digit."""
    leftmost: str
    """12, without the check digit."""
    pan: str
    """What format 4 binds: 12-19 digits."""
