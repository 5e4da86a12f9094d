"""Clear PIN blocks: how a PIN and an account become eight bytes, and back."""

from hsm.primitives.des import xor


class PinBlockError(ValueError):
    """A PIN block that cannot be read. ``what`` is ``block`` or ``length``; never a value."""

    def __init__(self, what: str) -> None:
        super().__init__(f"PIN block: bad {what}")
        self.what = what


def account12(pan: str) -> str:
    """The account field of a PIN block: the rightmost 12 digits without the check digit.

    >>> account12("6200001234567890128")
    '123456789012'
    """
    if not (pan.isascii() and pan.isdecimal() and 13 <= len(pan) <= 19):
        raise ValueError("a card number has 13 to 19 digits")
    return pan[-13:-1]


def pin_block_0(pin: str, account: str) -> bytes:
    """Clear PIN block of ISO 9564-1 format 0. ``pin`` 4-12 digits, ``account`` 12 digits.

    >>> pin_block_0("135790", account12("6200001234567890128")).hex().upper()
    '061345A4A9876FED'
    """
    if not (pin.isascii() and pin.isdecimal() and 4 <= len(pin) <= 12):
        raise PinBlockError("length")
    return xor(bytes.fromhex(f"0{len(pin):X}{pin:F<14}"), bytes.fromhex(f"0000{account}"))


def pin_from_block_0(block: bytes, account: str) -> str:
    """Read what :func:`pin_block_0` built. Raises PinBlockError (``length``: not 4-12 digits).

    >>> pin_from_block_0(bytes.fromhex("0412AC89ABCDEF67"), "987654321098")
    '1234'
    """
    plain = xor(block, bytes.fromhex(f"0000{account}")).hex()
    if plain[0] != "0":
        raise PinBlockError("block")
    length = int(plain[1], 16)
    if not 4 <= length <= 12:
        raise PinBlockError("length")
    pin, fill = plain[2 : 2 + length], plain[2 + length :]
    if not pin.isdecimal() or fill.strip("f"):
        raise PinBlockError("block")
    return pin
