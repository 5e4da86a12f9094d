"""Neighbouring fields of fixed form, read in one step.

The form of most fields depends on nothing before them. Such neighbours are fused into one regular
expression that reads them all at once. It takes only what their kinds would take one by one; what
it does not take, the kinds read themselves, and name what is wrong.
"""

import re
from typing import Any

from hsm.kinds import Values


class Fused:
    """Neighbouring fields whose kinds have a ``pattern``."""

    def __init__(self, fields: tuple[Any, ...]) -> None:
        self.fields = fields
        together = "".join(f"({field.kind.pattern})" for field in fields)
        self._match = re.compile(together).match
        self._names = tuple(field.name for field in fields)
        self._made = tuple((f.name, f.kind.made) for f in fields if hasattr(f.kind, "made"))

    def read(self, text: str, at: int, seen: Values, found: Values) -> int:
        """Put the values into both; where they end, or -1 when not all of it fits."""
        match = self._match(text, at)
        if match is None:
            return -1
        found.update(zip(self._names, match.groups(), strict=True))
        for name, made in self._made:
            found[name] = made(found[name])
        if seen is not found:
            seen.update(found)
        return match.end()


def fuse(parts: tuple[Any, ...]) -> tuple[Any, ...]:
    """The parts of a table, with fused fields in the place of those that can be read at once."""
    steps: list[Any] = []
    waiting: list[Any] = []
    for part in (*parts, None):
        fixed = part is not None and part.when is None and getattr(part, "starts", None) == b""
        if fixed and getattr(part.kind, "pattern", ""):
            waiting.append(part)
            continue
        if waiting:
            steps.append(Fused(tuple(waiting)))
            waiting.clear()
        if part is not None:
            steps.append(part)
    return tuple(steps)
