"""One event of the audit log, and what may never stand in it (norms rows 4, 11, 22)."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

Detail = str | int

NAME_CHARACTERS_MAX: Final = 64
VALUE_CHARACTERS_MAX: Final = 100
DETAILS_MAX: Final = 64
WHO_MAX: Final = 9
NUMBER_MAX: Final = 10**11
"""Whole numbers stay below this: a card number, also as a number, has 13 digits or more."""

_WHAT = re.compile(r"[a-z]+(?:[._][a-z]+)*")
_FIELD = re.compile(r"[A-Za-z0-9_.*]{1,32}")
_RESULT = re.compile(r"[0-9A-Z]{2}")
_CHECK_VALUE_FIELD = re.compile(r"check_value(?:_[0-9]{2})?")
_CHECK_VALUE = re.compile(r"[0-9A-Fa-f]{4,16}")
_SEPARATORS = re.compile(r"[\s:_-]+")
_HEX_RUN = re.compile(r"[0-9A-Fa-f]{16}")
_DIGIT_RUN = re.compile(r"[0-9]{12}")


class RefusedDetailError(ValueError):
    """This might be a key, a card number or PIN data. Names the field, never its value (I12)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Who did what, with which result. RefusedDetailError: it holds what no log may hold.

    ``who``: a client's name, or the officers' names. ``what``: dotted words (``key.imported``).
    ``details``: names, types, check values, counts; short printable texts and whole numbers.
    ``result``: an error code of the host protocol.
    """

    what: str
    who: tuple[str, ...]
    details: Mapping[str, Detail] = field(default_factory=dict)
    result: str = "00"

    def __post_init__(self) -> None:
        if not _WHAT.fullmatch(self.what) or len(self.what) > NAME_CHARACTERS_MAX:
            raise RefusedDetailError("what")
        if not 1 <= len(self.who) <= WHO_MAX or not all(map(is_name, self.who)):
            raise RefusedDetailError("who")
        if not _RESULT.fullmatch(self.result):
            raise RefusedDetailError("result")
        if len(self.details) > DETAILS_MAX:
            raise RefusedDetailError("details")
        for name, value in self.details.items():
            if not _FIELD.fullmatch(name) or _HEX_RUN.search(name) or _DIGIT_RUN.search(name):
                raise RefusedDetailError("a detail's name")
            if not _allowed(name, value):
                raise RefusedDetailError(name)


def is_name(text: str) -> bool:
    """Whether this can name a client or an officer in the log."""
    return 0 < len(text) <= NAME_CHARACTERS_MAX and text.isprintable() and not looks_secret(text)


def looks_secret(text: str) -> bool:
    """16 hex characters or 12 digits in a row, separators between them or not.

    A single-length key or a PIN block has 16 hex characters, a card number 13 digits or more, the
    account field of a PIN command 12.
    """
    joined = _SEPARATORS.sub("", text)
    return bool(_HEX_RUN.search(joined) or _DIGIT_RUN.search(joined))


def canonical(seq: int, time_ms: int, event: Event, previous: str = "") -> bytes:
    """The record as it is MACed: JSON in UTF-8, keys sorted, no spaces, without its MAC.

    ``time_ms``: UTC. ``previous``: the MAC in hex that a file's first record continues.
    """
    body: dict[str, object] = {
        "details": dict(event.details),
        "result": event.result,
        "seq": seq,
        "time_ms": time_ms,
        "what": event.what,
        "who": list(event.who),
    }
    if previous:
        body["previous"] = previous
    return json.dumps(body, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


def _allowed(name: str, value: object) -> bool:
    if isinstance(value, bool):
        return False
    if isinstance(value, int):
        return abs(value) < NUMBER_MAX
    if not isinstance(value, str) or len(value) > VALUE_CHARACTERS_MAX or not value.isprintable():
        return False
    if _CHECK_VALUE_FIELD.fullmatch(name):
        return bool(_CHECK_VALUE.fullmatch(value))
    return not looks_secret(value)
