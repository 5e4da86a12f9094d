"""A time of day in configuration: ``23:00`` stays 23:00 (YAML would read 1380)."""

import re

from msgspec import Struct

_CLOCK = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])")


class ClockTime(Struct, frozen=True, order=True):
    """Hour and minute of the local day.

    >>> str(ClockTime.parse("23:00"))
    '23:00'
    """

    hour: int
    minute: int

    @classmethod
    def parse(cls, text: str) -> "ClockTime":
        """Read ``HH:MM``. Raises ValueError for anything else."""
        match = _CLOCK.fullmatch(text)
        if match is None:
            raise ValueError("must be a time HH:MM from 00:00 to 23:59")
        return cls(int(match[1]), int(match[2]))

    def __str__(self) -> str:
        return f"{self.hour:02d}:{self.minute:02d}"
