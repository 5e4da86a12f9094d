"""Card verification values: Visa CVV and Mastercard CVC (CVV2 and iCVV differ in their input)."""

from hsm.primitives.des import BLOCK, ecb_encrypt, xor

_DIGITS = 3
_FIELD = 32


def cvv(key: bytes, pan: str, expiry: str, service_code: str) -> str:
    """Three digits. ``key`` is a CVK pair of 16 bytes; PAN, expiry and service code are digits, 32
    at most together.

    >>> key = bytes.fromhex("0123456789ABCDEFFEDCBA9876543210")
    >>> cvv(key, "4123456789012345", "8701", "101"), cvv(key, "4999988887777", "9105", "111")
    ('561', '649')
    """
    if len(key) != 2 * BLOCK:
        raise ValueError("a CVK pair has 16 bytes")
    text = pan + expiry + service_code
    if len(text) > _FIELD:
        raise ValueError("PAN, expiry and service code are too long")
    field = bytes.fromhex(f"{text:0<{_FIELD}}")
    chain = xor(ecb_encrypt(key[:BLOCK], field[:BLOCK]), field[BLOCK:])
    found = ecb_encrypt(key, chain).hex()
    digits = "".join(c for c in found if c.isdecimal())
    letters = "".join(str(int(c, 16) - 10) for c in found if not c.isdecimal())
    return (digits + letters)[:_DIGITS]
