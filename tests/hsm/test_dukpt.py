"""DUKPT of X9.24-1: the standard's published device."""

import pytest

from hsm import primitives
from hsm.primitives import dukpt

BDK = bytes.fromhex("0123456789ABCDEFFEDCBA9876543210")
DEVICE = "FFFF9876543210E"
ACCOUNT = "401234567890"


def test_the_initial_key_is_the_standards() -> None:
    """Whatever the counter says: it is the device's, not the payment's."""
    for counter in ("E00000", "E00001", "FFFFFF"):
        key = dukpt.initial_key(BDK, bytes.fromhex(f"FFFF9876543210{counter}"))
        assert key.hex().upper() == "6AC292FAA1315B4D858AB3A3D7D5933A"


@pytest.mark.parametrize(
    ("ksn", "block"),
    [
        ("FFFF9876543210E00001", "1B9C1845EB993A7A"),
        ("FFFF9876543210E00002", "10A01C8D02C69107"),
        ("FFFF9876543210E00003", "18DC07B94797B466"),
        ("FFFF9876543210E00010", "D5D9638559EF53D6"),
        ("FFFF9876543210EFFC00", "DEFC6F09F8927B71"),
        ("FFFF9876543210F00000", "73EC88AD0AC5830E"),
    ],
)
def test_published_pin_blocks(ksn: str, block: str) -> None:
    """PIN 1234 of card 4012345678909 under the PIN key of each KSN."""
    key = dukpt.pin_key(BDK, bytes.fromhex(ksn))
    clear = primitives.pin_block_0("1234", ACCOUNT)

    assert primitives.ecb_encrypt(key, clear).hex().upper() == block


def test_no_key_of_a_device_comes_twice() -> None:
    """Derived keys, PIN keys and both MAC keys of many payments: all different."""
    seen: set[bytes] = set()
    numbers = [int(f"{DEVICE}00000", 16) + count for count in range(1, 300)]
    for number in numbers:
        ksn = number.to_bytes(dukpt.KSN_LENGTH, "big")
        seen |= {
            dukpt.derived_key(BDK, ksn),
            dukpt.pin_key(BDK, ksn),
            dukpt.mac_key(BDK, ksn),
            dukpt.mac_key(BDK, ksn, answer=True),
        }

    assert len(seen) == 4 * len(numbers)


def test_the_keys_of_payments_are_not_remembered() -> None:
    """Deriving leaves no context among those of the keys that stay."""
    before = primitives.ecb_context.cache_info().currsize
    dukpt.derived_key(BDK, bytes.fromhex("FFFF9876543210E0F0F0"))

    assert primitives.ecb_context.cache_info().currsize == before


def test_lengths_are_looked_at() -> None:
    """A triple-length BDK and a short KSN are refused, without a value in the text."""
    for bdk, ksn in ((bytes(24), bytes(10)), (BDK, bytes(8))):
        with pytest.raises(ValueError, match="BDK of 16"):
            dukpt.initial_key(bdk, ksn)
