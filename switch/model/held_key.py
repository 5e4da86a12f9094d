"""How a key is written outside the HSM: a name of the key store, or a cryptogram and its LMK.

``key:NAME`` stands for whatever the store holds under that name; ``U…%10`` is a cryptogram under
LMK 10, ``U…`` one under the default LMK. A key block (``S…``) names its LMK in its own header.
"""

import re
from typing import NamedTuple

NAMED = "key:"
KEY_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
LMK_ID = re.compile(r"[0-9]{2}")

_LMK_OF_BLOCK = slice(15, 17)
_CRYPTOGRAM = re.compile(
    r"(?:[UX]?[0-9A-F]{32}|[TY][0-9A-F]{48}|Z?[0-9A-F]{16})(?:%[0-9]{2})?"
    r"|[SR][0-9A-F](?P<length>[0-9]{4})[ -~]{11,9995}"
)
"""As the HSM writes them; a key block states its length without its tag."""


class Held(NamedTuple):
    """The two parts of a held key's text. ``lmk_id`` is empty when the default LMK is meant."""

    cryptogram: str
    lmk_id: str


def split_held(text: str) -> Held:
    """Take a cryptogram apart; a bad one stays as it is, for the HSM to refuse.

    >>> split_held("U0123%10")
    Held(cryptogram='U0123', lmk_id='10')
    >>> split_held("S10096P0AE00N0002ABCD")
    Held(cryptogram='S10096P0AE00N0002ABCD', lmk_id='02')
    """
    if text.startswith("S"):
        return Held(text, text[_LMK_OF_BLOCK])
    cryptogram, mark, lmk_id = text.partition("%")
    return Held(cryptogram, lmk_id) if mark else Held(text, "")


def join_held(cryptogram: str, lmk_id: str) -> str:
    """The text of a cryptogram under this LMK; empty: the default one."""
    return cryptogram if cryptogram.startswith("S") or not lmk_id else f"{cryptogram}%{lmk_id}"


def check_held(field: str, text: str) -> None:
    """Length and alphabet of a held key; whether store or HSM knows it is for them to say. Raises
    ValueError with a sentence that names the field and does not show the text: it may be a key.

    >>> check_held("tmk", "key:bank-a-01234567")
    >>> check_held("tmk", "U0123456789ABCDEF0123456789ABCDEF%10")
    """
    if text.startswith(NAMED):
        right = KEY_NAME.fullmatch(named_key(text)) is not None
    else:
        match = _CRYPTOGRAM.fullmatch(text)
        right = match is not None and match["length"] in (None, f"{len(text) - 1:04d}")
    if not right:
        raise ValueError(
            f"{field}: must be {NAMED}NAME, or a cryptogram under our LMK (U, X + 32 hex, T, Y + "
            "48 hex, Z + 16 hex, plain hex; %NN behind it names another LMK) or a key block"
        )


def named_key(text: str) -> str:
    """The name in ``key:NAME``, else empty."""
    return text.removeprefix(NAMED) if text.startswith(NAMED) else ""
