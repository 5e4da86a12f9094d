"""The times that somebody who reads a record names: local, as the record has them."""

import re
import time

_TIME = re.compile(
    r"([0-9]{4})-?([0-9]{2})-?([0-9]{2})(?:[ T]?([0-9]{2}):?([0-9]{2})(?::?([0-9]{2}))?)?"
)


def first_second(text: str) -> str:
    """``YYYYMMDDhhmmss`` at which a day, a minute or a second begins. Raises ValueError for what is
    no time of the calendar.

    >>> first_second("2026-07-04"), first_second("2026-07-04 10:15")
    ('20260704000000', '20260704101500')
    """
    return _filled(text, "000000")


def last_second(text: str) -> str:
    """At which it ends, else as :func:`first_second`.

    >>> last_second("2026-07-04"), last_second("20260704101500")
    ('20260704235959', '20260704101500')
    """
    return _filled(text, "235959")


def _filled(text: str, rest: str) -> str:
    match = _TIME.fullmatch(text)
    if match is None:
        raise ValueError("not YYYY-MM-DD, nor YYYY-MM-DD hh:mm[:ss]")
    digits = "".join(part for part in match.groups() if part)
    digits += rest[len(digits) - 8 :]
    time.strptime(digits, "%Y%m%d%H%M%S")
    return digits
