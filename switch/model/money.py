"""Money is an integer number of 分 (I16). Conversion to and from 元 happens only at the edges."""

import re
from typing import NewType

Fen = NewType("Fen", int)

AMOUNT_FEN_MAX = 999_999_999_999
"""What field 4 (n12) can carry."""

_YUAN = re.compile(r"(0|[1-9][0-9]*)(?:\.([0-9]{1,2}))?")


class AmountError(ValueError):
    """An amount that is not a positive whole number of 分 within field 4's range."""


def amount_fen(value: object, field: str = "amount_fen") -> Fen:
    """Accept ``value`` as the amount of a payment: an integer, 1 … 999,999,999,999 分.

    >>> amount_fen(1234)
    1234
    >>> amount_fen(-1)
    Traceback (most recent call last):
    switch.model.money.AmountError: amount_fen: must be from 1 to 999999999999 fen
    """
    if isinstance(value, bool) or not isinstance(value, int):
        raise AmountError(f"{field}: must be an integer number of fen")
    if not 1 <= value <= AMOUNT_FEN_MAX:
        raise AmountError(f"{field}: must be from 1 to {AMOUNT_FEN_MAX} fen")
    return Fen(value)


def fen_from_yuan(text: str, field: str = "amount") -> Fen:
    """Read a 元 amount exactly; more than two decimals is refused, never rounded.

    >>> fen_from_yuan("12.3")
    1230
    """
    match = _YUAN.fullmatch(text.strip())
    if match is None:
        raise AmountError(f"{field}: not a yuan amount with at most two decimals")
    yuan, cents = match.groups()
    return Fen(int(yuan) * 100 + int((cents or "").ljust(2, "0")))


def yuan(amount: int) -> str:
    """Write 分 as 元 with two decimals.

    >>> yuan(-1230)
    '-12.30'
    """
    sign = "-" if amount < 0 else ""
    whole, cents = divmod(abs(amount), 100)
    return f"{sign}{whole}.{cents:02d}"
