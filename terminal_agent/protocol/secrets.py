"""Card secrets on the wire: opaque to everything but the code that sends them (I12)."""

import re


class Opaque:
    """A card secret on its way: shows ``<secret>``; only :meth:`reveal` gives it away (I12)."""

    __slots__ = ("_value",)
    RULE = "must be text of at most 128 characters"
    SHAPE = re.compile(r".{0,128}", re.DOTALL)

    def __init__(self, value: str) -> None:
        if self.SHAPE.fullmatch(value) is None:
            raise ValueError(self.RULE)
        self._value = value

    def reveal(self) -> str:
        """The value itself. Call it only where the value leaves for its destination."""
        return self._value

    def __repr__(self) -> str:
        return "<secret>"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return "<secret>"

    def __reduce__(self) -> str:
        raise TypeError("a card secret is not pickled (I12)")


class Pan(Opaque):
    """A card number."""

    __slots__ = ()
    RULE = "must be 12 to 19 digits"
    SHAPE = re.compile(r"[0-9]{12,19}")


class Bin(Opaque):
    """The beginning of a card number, as much as routes go by."""

    __slots__ = ()
    DIGITS_MAX = 12
    RULE = "must be 6 to 12 digits"
    SHAPE = re.compile(r"[0-9]{6,12}")


class Track2(Opaque):
    """Track 2: digits with ``=`` or ``D`` as the separator."""

    __slots__ = ()
    RULE = "must be track 2 data of at most 37 characters"
    SHAPE = re.compile(r"[0-9]{12,19}[=D][0-9]{0,24}")


class PinBlock(Opaque):
    """The pad's cryptogram, ISO format 0 under the terminal's key."""

    __slots__ = ()
    RULE = "must be 16 hexadecimal digits"
    SHAPE = re.compile(r"[0-9A-Fa-f]{16}")


class Chip(Opaque):
    """Field 55 in hexadecimal."""

    __slots__ = ()
    RULE = "must be an even number of hexadecimal digits, at most 510"
    SHAPE = re.compile(r"(?:[0-9A-Fa-f]{2}){0,255}")
