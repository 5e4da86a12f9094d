"""What an auditor finds."""

from msgspec import Struct


class Violation(Struct, frozen=True):
    """``invariant`` and what was found."""

    invariant: str
    text: str
