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


def named_key(text: str) -> str:
    """The name in ``key:NAME``, else empty."""
    return text.removeprefix(NAMED) if text.startswith(NAMED) else ""
