"""What an issuer stores to check a PIN by: the PVV and the offset of IBM 3624.

Both are one DES block: under the PIN verification key (PVK).
"""

from typing import Final

from hsm.primitives.des import ecb_encrypt

_LETTERS: Final = str.maketrans("abcdef", "012345")
_TABLE_DISTINCT: Final = 8
_TABLE_REPEATED: Final = 4


def pvv(pvk: bytes, account: str, index: str, pin: str) -> str:
    """The PIN verification value of a card: 4 digits of the first 4 digits of its PIN.

    ``account``: 12 digits without the check digit, of which the last 11 count; ``index``: one
    digit that names the PVK among the issuer's.

    >>> pvv(bytes.fromhex("0123456789ABCDEFFEDCBA9876543210"), "123456789012", "1", "1234")
    '2504'
    """
    block = bytes.fromhex(f"{account[-11:]}{index}{pin[:4]}")
    made = ecb_encrypt(pvk, block).hex()
    digits = "".join(character for character in made if character.isdecimal())
    letters = "".join(character for character in made if character.isalpha())
    return (digits + letters.translate(_LETTERS))[:4]


def table_is_sound(table: str) -> bool:
    """Whether a decimalisation table spreads its digits: 8 different ones, none more than 4 times.
    Others turn verification into a way of asking for single digits of a PIN.

    >>> table_is_sound("0123456789012345"), table_is_sound("0000000000000001")
    (True, False)
    """
    counts = [table.count(digit) for digit in set(table)]
    return len(counts) >= _TABLE_DISTINCT and max(counts) <= _TABLE_REPEATED


def natural_pin(pvk: bytes, table: str, validation_data: str) -> str:
    """The 16 digits that an offset is added to: the leftmost are the card's natural PIN.

    ``validation_data``: 16 hex characters of the card; ``table``: a digit for each hex character.

    >>> key = bytes.fromhex("0123456789ABCDEFFEDCBA9876543210")
    >>> natural_pin(key, "1234567890123456", "1122334455667788")[:4]
    '4524'
    """
    made = ecb_encrypt(pvk, bytes.fromhex(validation_data)).hex()
    return made.translate(str.maketrans("0123456789abcdef", table))


def add_digits(left: str, right: str) -> str:
    """Digit by digit without carry, as far as the shorter goes.

    >>> add_digits("4524", "9876")
    '3390'
    """
    return "".join(str((int(a) + int(b)) % 10) for a, b in zip(left, right, strict=False))


def subtract_digits(left: str, right: str) -> str:
    """Undo :func:`add_digits`.

    >>> subtract_digits("3390", "9876")
    '4524'
    """
    return "".join(str((int(a) - int(b)) % 10) for a, b in zip(left, right, strict=False))
