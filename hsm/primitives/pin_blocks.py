"""PIN blocks of eight bytes: how a PIN and an account become a block, and back.

Where a PIN block stands in for its PIN it is always encrypted: see hsm.primitives.pin_forms for
the forms by name, with their ciphers. ``pin`` has 4-12 digits, ``account`` 12 (the rightmost of
the card number without its check digit).
"""

from collections.abc import Callable
from typing import Final

from hsm.primitives.des import BLOCK, xor

Entropy = Callable[[int], bytes]
"""``entropy(n)``: n random bytes, for the fill."""

PIN_LENGTH_MIN: Final = 4
PIN_LENGTH_MAX: Final = 12

_DOCUTEL_PIN_MAX: Final = 6


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


def checked_pin(pin: str) -> str:
    """The PIN. Raises PinBlockError (``length``) unless it is 4-12 digits."""
    if not (pin.isascii() and pin.isdecimal() and PIN_LENGTH_MIN <= len(pin) <= PIN_LENGTH_MAX):
        raise PinBlockError("length")
    return pin


def pin_block_0(pin: str, account: str) -> bytes:
    """Clear PIN block of ISO 9564-1 format 0.

    >>> pin_block_0("135790", account12("6200001234567890128")).hex().upper()
    '061345A4A9876FED'
    """
    checked_pin(pin)
    return xor(bytes.fromhex(f"0{len(pin):X}{pin:F<14}"), bytes.fromhex(f"0000{account}"))


def pin_from_block_0(block: bytes, account: str) -> str:
    """Read what :func:`pin_block_0` built. Raises PinBlockError (``length``: not 4-12 digits).

    >>> pin_from_block_0(bytes.fromhex("0412AC89ABCDEF67"), "987654321098")
    '1234'
    """
    plain = (int.from_bytes(block, "big") ^ int(account, 16)).to_bytes(BLOCK, "big").hex()
    if plain[0] != "0":
        raise PinBlockError("block")
    length = int(plain[1], 16)
    if not PIN_LENGTH_MIN <= length <= PIN_LENGTH_MAX:
        raise PinBlockError("length")
    pin, fill = plain[2 : 2 + length], plain[2 + length :]
    if not pin.isdecimal() or fill.strip("f"):
        raise PinBlockError("block")
    return pin


def pin_block_1(pin: str, _account: str, entropy: Entropy) -> bytes:
    """ISO format 1: no account, random fill."""
    return bytes.fromhex(f"1{len(checked_pin(pin)):X}{pin}{entropy(BLOCK).hex()}"[: 2 * BLOCK])


def pin_from_block_1(block: bytes, _account: str) -> str:
    """Read what :func:`pin_block_1` built."""
    return read_counted(block.hex(), "1", "0123456789abcdef")


def pin_block_2(pin: str, _account: str, _entropy: Entropy) -> bytes:
    """ISO format 2, for chip cards: no account, filled with F."""
    return bytes.fromhex(f"2{len(checked_pin(pin)):X}{pin:F<14}")


def pin_from_block_2(block: bytes, _account: str) -> str:
    """Read what :func:`pin_block_2` built.

    >>> pin_from_block_2(bytes.fromhex("241234FFFFFFFFFF"), "")
    '1234'
    """
    return read_counted(block.hex(), "2", "f")


def pin_block_3(pin: str, account: str, entropy: Entropy) -> bytes:
    """ISO format 3: format 0 with a fill of random digits A-F."""
    plain = f"3{len(checked_pin(pin)):X}{pin}{random_letters(entropy, 14 - len(pin))}"
    return xor(bytes.fromhex(plain), bytes.fromhex(f"0000{account}"))


def pin_from_block_3(block: bytes, account: str) -> str:
    """Read what :func:`pin_block_3` built."""
    return read_counted(xor(block, bytes.fromhex(f"0000{account}")).hex(), "3", "abcdef")


def docutel_block(pin: str, account: str, _entropy: Entropy) -> bytes:
    """Docutel: length, PIN filled with 0 to 6 digits, 9 digits of padding (here the account's)."""
    if len(checked_pin(pin)) > _DOCUTEL_PIN_MAX:
        raise PinBlockError("length")
    return bytes.fromhex(f"{len(pin)}{pin:0<6}{account[:9]}")


def pin_from_docutel_block(block: bytes, _account: str) -> str:
    """Read a Docutel block; its padding is whatever the terminal put there.

    >>> pin_from_docutel_block(bytes.fromhex("4123400000000000"), "")
    '1234'
    """
    plain = block.hex()
    if not plain.isdecimal():
        raise PinBlockError("block")
    length = int(plain[0])
    if not PIN_LENGTH_MIN <= length <= _DOCUTEL_PIN_MAX:
        raise PinBlockError("length")
    if plain[1 + length : 1 + _DOCUTEL_PIN_MAX].strip("0"):
        raise PinBlockError("block")
    return plain[1 : 1 + length]


def diebold_block(pin: str, _account: str, _entropy: Entropy) -> bytes:
    """Diebold and IBM cash machines: the PIN filled with F."""
    return bytes.fromhex(f"{checked_pin(pin):F<16}")


def pin_from_diebold_block(block: bytes, _account: str) -> str:
    """Read what :func:`diebold_block` built.

    >>> pin_from_diebold_block(bytes.fromhex("123456FFFFFFFFFF"), "")
    '123456'
    """
    pin = block.hex().rstrip("f")
    if pin and not pin.isdecimal():
        raise PinBlockError("block")
    return checked_pin(pin)


def counted_block(pin: str, _account: str, _entropy: Entropy) -> bytes:
    """The Chinese block without account (不带主账号): a length byte, the PIN, filled with F."""
    return bytes.fromhex(f"0{len(checked_pin(pin)):X}{pin:F<14}")


def pin_from_counted_block(block: bytes, _account: str) -> str:
    """Read what :func:`counted_block` built."""
    return read_counted(block.hex(), "0", "f")


def read_counted(plain: str, control: str, fill: str) -> str:
    """The PIN of lower-case hex: control digit, length, PIN, fill digits. Raises PinBlockError."""
    if plain[0] != control:
        raise PinBlockError("block")
    length = int(plain[1], 16)
    if not PIN_LENGTH_MIN <= length <= PIN_LENGTH_MAX:
        raise PinBlockError("length")
    pin, rest = plain[2 : 2 + length], plain[2 + length :]
    if not pin.isdecimal() or rest.strip(fill):
        raise PinBlockError("block")
    return pin


def random_letters(entropy: Entropy, count: int) -> str:
    """``count`` random hex digits A-F, all six alike."""
    found = ""
    while len(found) < count:
        # 252 is the largest multiple of 6 in a byte: what lies above would favour A-D.
        found += "".join("abcdef"[byte % 6] for byte in entropy(2 * BLOCK) if byte < 252)
    return found[:count]
