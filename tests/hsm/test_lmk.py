"""Wrapping under the published test LMK and under a ZMK."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsm import keys, primitives
from hsm.errors import CommandError
from hsm.keys import KEY_TYPES, Cryptogram
from hsm.lmk import ParityError, published_test_lmk

KEY = bytes.fromhex("0123456789ABCDEFFEDCBA9876543210")
LMK = published_test_lmk()


@pytest.mark.parametrize(
    ("scheme", "value"),
    [
        ("U", "U063A0E7C0F2124E56192A4510F395ED7"),
        ("X", "X8B4ECCAE01B4B17AAC951121A98DB14E"),
    ],
)
def test_zpk_under_the_test_lmk(scheme: str, value: str) -> None:
    """The published answer for key type 001, with and without the scheme's masks."""
    assert str(LMK.wrap("001", scheme, KEY)) == value
    assert LMK.unwrap("001", keys.parse_cryptogram(value)) == KEY


@given(st.sampled_from(sorted(KEY_TYPES)), st.sampled_from("UTXYZ0"), st.binary(min_size=24))
def test_wrap_and_unwrap(key_type: str, scheme: str, clear: bytes) -> None:
    """Every type and scheme gives the key back, also for the degenerate LMK pair 18-19."""
    clear = primitives.odd_parity(clear[: keys.SCHEME_BYTES[scheme]])

    assert LMK.unwrap(key_type, LMK.wrap(key_type, scheme, clear)) == clear


def test_no_two_types_share_a_wrapping() -> None:
    """The same key under any two types is two cryptograms, and neither opens as the other."""
    wrapped = {code: LMK.wrap(code, "U", KEY) for code in KEY_TYPES}

    assert len(set(wrapped.values())) == len(KEY_TYPES)
    for one, other in product(KEY_TYPES, KEY_TYPES):
        if one != other:
            with pytest.raises(ParityError):
                LMK.unwrap(other, wrapped[one])


def test_a_flipped_bit_is_seen_by_parity() -> None:
    """Damage makes a random half; its parity holds for one in 256 only, never in these."""
    good = LMK.wrap("003", "U", KEY)
    for at in range(32):
        changed = f"{int(good.body[at], 16) ^ 1:X}"
        bad = Cryptogram("U", good.body[:at] + changed + good.body[at + 1 :])
        with pytest.raises(ParityError):
            LMK.unwrap("003", bad)


@pytest.mark.parametrize(("scheme", "length"), [("U", 8), ("Z", 16), ("T", 16), ("Q", 16)])
def test_a_scheme_of_another_length_is_26(scheme: str, length: int) -> None:
    """U and X are double, T and Y triple, Z single; anything else is no scheme."""
    with pytest.raises(CommandError) as caught:
        LMK.wrap("001", scheme, bytes(length))

    assert caught.value.code == "26"


def test_atalla_variant_changes_both_halves() -> None:
    """Variant 1 is 08 XORed into bytes 0 and 8; 0 and 6 do not exist."""
    assert keys.atalla(KEY, 1).hex() == "0923456789abcdeff6dcba9876543210"
    for variant in (0, 6):
        with pytest.raises(CommandError):
            keys.atalla(KEY, variant)


def test_I12_nothing_of_a_key_is_printed() -> None:
    """repr of LMK and cryptogram says what they are and holds no hex of them."""
    shown = repr(LMK) + repr(LMK.wrap("001", "U", KEY))

    assert "063A0E7C" not in shown
    assert "test" in shown


@given(st.text(max_size=60))
def test_parse_cryptogram_takes_a_cryptogram_or_raises_its_own_error(text: str) -> None:
    """What is read is written the same; anything else is a ValueError."""
    try:
        shown = str(keys.parse_cryptogram(text))
    except ValueError:
        return
    assert shown == text
