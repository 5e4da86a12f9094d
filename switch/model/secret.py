"""A value that no log, exception or metric can print (I12)."""

from typing import Generic, TypeVar

T = TypeVar("T")


class Secret(Generic[T]):
    """Holds ``T`` and shows ``<secret>``; only :meth:`reveal` gives it away, by name.

    It cannot be pickled, compared or put into JSON, so it does not slip out by accident.

    >>> Secret("6225880000000000")
    <secret>
    """

    __slots__ = ("_value",)

    def __init__(self, value: T) -> None:
        self._value = value

    def reveal(self) -> T:
        """The value itself. Call it only where the value leaves for its destination."""
        return self._value

    def __repr__(self) -> str:
        return "<secret>"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return "<secret>"

    def __reduce__(self) -> str:
        raise TypeError("a Secret is not serialised (I12)")


def masked_pan(pan: str) -> str:
    """First 6 and last 4 digits of a card number, the most that may be shown.

    >>> masked_pan("6225880123456789")
    '622588******6789'
    """
    if len(pan) < 13:
        return "*" * len(pan)
    return f"{pan[:6]}{'*' * (len(pan) - 10)}{pan[-4:]}"
