"""Frames that somebody has in hand as hexadecimal text: one, or several one behind the other."""

import re
from collections.abc import Callable

from channels.iso8583.framing import cut

Reads = Callable[[bytes], bool]
"""Whether some dialect reads these bytes as one frame."""

_STRANGE = re.compile(r"[^0-9A-Fa-f:\s]")


class NotHexError(ValueError):
    """``at``: which character of the text is no hexadecimal digit, from 1; None: all are, and one
    digit is missing or too many."""

    def __init__(self, at: int | None) -> None:
        super().__init__("not hexadecimal")
        self.at = at


def frames_in(text: str, reads: Reads, *, body: bool = False) -> list[bytes]:
    """The frames in a text; whitespace and colons between its digits are nothing. Empty: none.

    All of it is one frame if a dialect reads it so: packet tools wrap their lines. What a length
    prefix leaves over is the next one; where that makes no frames, each line is one, if any of
    them is. ``body``: frames have no length prefix. Raises NotHexError.
    """
    whole = _bytes(text)
    if not whole or reads(whole):
        return [whole] if whole else []
    behind = [whole] if body else cut(whole)
    if all(map(reads, behind)):
        return behind
    single = _lines(text)
    parts = single if body else [frame for line in single for frame in cut(line)]
    return parts if any(map(reads, parts)) else behind


def _lines(text: str) -> list[bytes]:
    """Each line's bytes; none when a line ends amid a byte: then they are no frames."""
    try:
        return [found for found in map(_bytes, text.splitlines()) if found]
    except NotHexError:
        return []


def _bytes(text: str) -> bytes:
    strange = _STRANGE.search(text)
    digits = re.sub(r"[:\s]", "", text)
    if strange or len(digits) % 2:
        raise NotHexError(strange.start() + 1 if strange else None)
    return bytes.fromhex(digits)
