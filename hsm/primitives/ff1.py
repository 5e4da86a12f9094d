"""FF1 of NIST SP 800-38G over decimal digits: encryption that keeps the length of a number."""

from collections.abc import Callable
from typing import Final

from hsm.primitives.aes import AES_BLOCK, aes_cbc_encrypt, aes_encrypt

_ROUNDS: Final = 10


def ff1_encrypt(key: bytes, tweak: bytes, digits: str) -> str:
    """Encrypt 2 or more decimal digits under an AES key; ``tweak`` binds them to their place.

    >>> key = bytes.fromhex("2B7E151628AED2A6ABF7158809CF4F3C")
    >>> ff1_encrypt(key, b"", "0123456789")
    '2433477484'
    """
    half = len(digits) // 2
    left, right = digits[:half], digits[half:]
    mix = _round_function(key, tweak, len(digits))
    for number in range(_ROUNDS):
        left, right = right, _added(left, mix(number, right))
    return left + right


def ff1_decrypt(key: bytes, tweak: bytes, digits: str) -> str:
    """Undo :func:`ff1_encrypt`.

    >>> key = bytes.fromhex("2B7E151628AED2A6ABF7158809CF4F3C")
    >>> ff1_decrypt(key, bytes.fromhex("39383736353433323130"), "6124200773")
    '0123456789'
    """
    half = len(digits) // 2
    left, right = digits[:half], digits[half:]
    mix = _round_function(key, tweak, len(digits))
    for number in reversed(range(_ROUNDS)):
        left, right = _added(right, -mix(number, left)), left
    return left + right


def _added(digits: str, number: int) -> str:
    width = len(digits)
    return f"{(int(digits) + number) % 10**width:0{width}d}"


def _round_function(key: bytes, tweak: bytes, length: int) -> Callable[[int, str], int]:
    """Step 6 of the standard's algorithms 7 and 8: i and NUM(B) (or NUM(A)) to y."""
    if not (2 <= length <= 36):
        raise ValueError("FF1 takes 2 to 36 digits here")
    longer = length - length // 2
    width = ((10**longer - 1).bit_length() + 7) // 8
    wanted = 4 * ((width + 3) // 4) + 4
    head = (
        b"\x01\x02\x01\x00\x00\x0a\x0a"
        + bytes([length // 2])
        + length.to_bytes(4, "big")
        + len(tweak).to_bytes(4, "big")
        + tweak
        + bytes((-len(tweak) - width - 1) % AES_BLOCK)
    )

    def mix(number: int, digits: str) -> int:
        block = head + bytes([number]) + int(digits).to_bytes(width, "big")
        stream = aes_cbc_encrypt(key, bytes(AES_BLOCK), block)[-AES_BLOCK:]
        if wanted > AES_BLOCK:
            counted = int.from_bytes(stream, "big") ^ 1
            stream += aes_encrypt(key, counted.to_bytes(AES_BLOCK, "big"))
        return int.from_bytes(stream[:wanted], "big")

    return mix
