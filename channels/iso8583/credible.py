"""Whether a card's field of a broken message holds what its number says (I12).

A dialect that misreads a length takes the end of a card number or a track for the fields behind it,
and would show it there: behind a field that is not credible nothing is shown.
"""

import re
from collections.abc import Callable, Mapping

from channels.iso8583 import tlv

_TRACK = re.compile(r"[0-9=D]{0,4}?\d{14,19}[D=]\d{4}[0-9D=]*")
_CHARACTERS = re.compile(r"(?:3[0-9]|4[1-6])*(?:3|4)?")
"""Digits or hexadecimal that were written as characters and read as nibbles."""
_PAN_DIGITS_MIN = 14


def _is_pan(value: str) -> bool:
    return len(value) >= _PAN_DIGITS_MIN and not _CHARACTERS.fullmatch(value)


def _is_track(value: str) -> bool:
    return bool(_TRACK.fullmatch(value))


def _is_block(value: str) -> bool:
    return not _CHARACTERS.fullmatch(value)


def _is_chip(value: str) -> bool:
    try:
        tlv.parse(bytes.fromhex(value))
    except ValueError:
        return False
    return True


_OF_CARD: Mapping[str, Callable[[str], bool]] = {
    "2": _is_pan,
    "35": _is_track,
    "36": _is_track,
    "52": _is_block,
    "55": _is_chip,
}


def credible(number: str, value: str) -> bool:
    """Whether a field is what it should be; one that is not a card's always is.

    >>> credible("2", "6225881234567890"), credible("2", "3632323538383132")
    (True, False)
    """
    check = _OF_CARD.get(number)
    return check is None or check(value)
