"""PIN blocks, PVV, IBM offset and FF1 against standards, psec and each other."""

import psec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsm import primitives
from hsm.primitives import PIN_FORMS, PinAccount, PinBlockError, PinForm, pin_blocks
from hsm.primitives.sm4 import sm4_encrypt

PINS = st.text("0123456789", min_size=4, max_size=12)
ACCOUNTS = st.text("0123456789", min_size=12, max_size=12)
DES_KEY = bytes.fromhex("0123456789ABCDEFFEDCBA9876543210")
AES_KEY = bytes.fromhex("C1D0F8FB4958670DBA40AB1F3752EF0D")
KEYS = {"DT": DES_KEY, "A": AES_KEY, "4": DES_KEY}
FILL = b"\x5a\x13\xc7\x00\x91\xee\x2b\x08" * 4


THEIR_TRIPLE_DES = pytest.mark.filterwarnings(
    "ignore:TripleDES has been moved", "ignore:Single-key TripleDES", "ignore:Two-key TripleDES"
)
"""psec takes triple DES from where ``cryptography`` used to keep it, for single keys too."""


def fill(length: int) -> bytes:
    """The same fill every time."""
    return FILL[:length]


def whole(account: str) -> PinAccount:
    """An account of which no form knows more than 12 digits."""
    return PinAccount(account, account, account)


def key_of(form: PinForm) -> bytes:
    """A key that may carry the form."""
    return KEYS[form.algorithms]


def clear_of(name: str, pin: str, account: str) -> str:
    """The clear block of a form under triple DES, as hex."""
    form = PIN_FORMS[name]
    sealed = form.seal(DES_KEY, pin, whole(account), fill)
    return primitives.ecb_decrypt(DES_KEY, sealed).hex().upper()


# ---- known answers ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "pin", "account", "clear"),
    [
        ("iso-0", "1234", "987654321098", "0412AC89ABCDEF67"),
        ("plus", "1234", "987654321098", "0412AC89ABCDEF67"),
        ("iso-1", "1234", "987654321098", "1412345A13C70091"),
        ("iso-2", "123456", "987654321098", "26123456FFFFFFFF"),
        ("docutel", "1234", "987654321098", "4123400987654321"),
        ("diebold", "1234", "987654321098", "1234FFFFFFFFFFFF"),
        ("no-account", "123456", "987654321098", "06123456FFFFFFFF"),
    ],
)
def test_clear_blocks_by_hand(name: str, pin: str, account: str, clear: str) -> None:
    """Each form written out."""
    assert clear_of(name, pin, account) == clear


@given(PINS, ACCOUNTS)
def test_iso_0_2_3_agree_with_psec(pin: str, account: str) -> None:
    """psec takes a card number with check digit and reads what we build, and the other way."""
    pan = f"4{account}9"
    pairs = (
        ("iso-0", psec.pinblock.encode_pinblock_iso_0(pin, pan), lambda b: (b, pan)),
        ("iso-3", psec.pinblock.encode_pinblock_iso_3(pin, pan), lambda b: (b, pan)),
        ("iso-2", psec.pinblock.encode_pinblock_iso_2(pin), lambda b: (b,)),
    )
    for name, theirs, arguments in pairs:
        form = PIN_FORMS[name]
        sealed = primitives.ecb_encrypt(DES_KEY, theirs)
        assert form.open(DES_KEY, sealed, whole(account)) == pin
        ours = primitives.ecb_decrypt(DES_KEY, form.seal(DES_KEY, pin, whole(account), fill))
        decode = getattr(psec.pinblock, f"decode_pinblock_{name.replace('-', '_')}")
        assert decode(*arguments(ours)) == pin


@given(PINS, st.text("0123456789", min_size=12, max_size=19))
def test_iso_4_agrees_with_psec(pin: str, pan: str) -> None:
    """For every length of card number the format knows."""
    form, account = PIN_FORMS["iso-4"], PinAccount("", "", pan)
    theirs = psec.pinblock.encipher_pinblock_iso_4(AES_KEY, pin, pan)
    ours = form.seal(AES_KEY, pin, account, fill)

    assert form.open(AES_KEY, theirs, account) == pin
    assert psec.pinblock.decipher_pinblock_iso_4(AES_KEY, ours, pan) == pin


def test_the_sm4_block_is_the_one_described() -> None:
    """Length byte, PIN, F, XOR zeros and the account; padded: format 0 and eight zeros."""
    plain = bytes.fromhex("06135790FFFFFFFFFFFFFFFFFFFFFFFF")
    plain = primitives.xor(plain, bytes.fromhex("00000000000000000000123456789012"))
    account = whole("123456789012")

    sealed = PIN_FORMS["sm4"].seal(DES_KEY, "135790", account, fill)
    assert sealed == sm4_encrypt(DES_KEY, plain)
    padded = PIN_FORMS["sm4-padded"].seal(DES_KEY, "135790", account, fill)
    assert padded == sm4_encrypt(DES_KEY, bytes.fromhex("061345A4A9876FED") + bytes(8))


@THEIR_TRIPLE_DES
@given(st.binary(min_size=16, max_size=16), PINS, ACCOUNTS, st.sampled_from("123456"))
def test_pvv_agrees_with_psec(pvk: bytes, pin: str, account: str, index: str) -> None:
    """Over any key pair."""
    ours = primitives.pvv(pvk, account, index, pin)

    assert ours == psec.pin.generate_visa_pvv(pvk, index, pin[:4], f"{account}0")


@THEIR_TRIPLE_DES
@given(st.binary(min_size=8, max_size=8), PINS, st.text("0123456789", min_size=16, max_size=16))
def test_ibm_offset_agrees_with_psec(pvk: bytes, pin: str, data: str) -> None:
    """The offset of a PIN, and the PIN of the offset."""
    table = "0123456789012345"
    offset = psec.pin.generate_ibm3624_offset(pvk, table, pin, data, 0, 16, "F")
    natural = primitives.natural_pin(pvk, table, data)

    assert primitives.subtract_digits(pin, natural) == offset
    assert primitives.add_digits(natural, offset) == pin


@pytest.mark.parametrize(
    ("key", "tweak", "clear", "sealed"),
    [
        ("2B7E151628AED2A6ABF7158809CF4F3C", "", "0123456789", "2433477484"),
        (
            "2B7E151628AED2A6ABF7158809CF4F3C",
            "39383736353433323130",
            "0123456789",
            "6124200773",
        ),
    ],
)
def test_ff1_of_the_standards_samples(key: str, tweak: str, clear: str, sealed: str) -> None:
    """NIST's samples 1 and 2."""
    values = bytes.fromhex(key), bytes.fromhex(tweak)

    assert primitives.ff1_encrypt(*values, clear) == sealed
    assert primitives.ff1_decrypt(*values, sealed) == clear


@given(st.text("0123456789", min_size=2, max_size=36), st.binary(max_size=20))
def test_ff1_comes_back(digits: str, tweak: bytes) -> None:
    """For every length it takes."""
    sealed = primitives.ff1_encrypt(AES_KEY, tweak, digits)

    assert len(sealed) == len(digits)
    assert primitives.ff1_decrypt(AES_KEY, tweak, sealed) == digits


# ---- properties ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(PIN_FORMS))
@given(pin=PINS, account=ACCOUNTS, noise=st.binary(min_size=64, max_size=64))
def test_every_form_comes_back(name: str, pin: str, account: str, noise: bytes) -> None:
    """Whatever the fill; Docutel has room for six digits."""
    form = PIN_FORMS[name]
    pin = pin[:6] if name == "docutel" else pin
    noise += bytes(range(64))
    sealed = form.seal(key_of(form), pin, whole(account), lambda length: noise[:length])

    assert len(sealed) == form.width
    assert form.open(key_of(form), sealed, whole(account)) == pin


@pytest.mark.parametrize("name", sorted(PIN_FORMS))
@given(pin=PINS, account=ACCOUNTS, bit=st.integers(0, 127))
def test_another_key_never_gives_the_same_pin(name: str, pin: str, account: str, bit: int) -> None:
    """One bit of the key flipped (no parity bit): an error, or another PIN."""
    form = PIN_FORMS[name]
    pin = pin[:6] if name == "docutel" else pin
    key = key_of(form)
    sealed = form.seal(key, pin, whole(account), fill)
    at, place = divmod(bit, 8)
    place = max(place, 1)  # a parity bit is no key bit under DES
    changed = bytearray(key)
    changed[at] ^= 1 << place
    try:
        found = form.open(bytes(changed), sealed, whole(account))
    except PinBlockError:
        return
    assert found != pin


@pytest.mark.parametrize("name", ["iso-0", "iso-3", "plus", "iso-4", "sm4", "sm4-padded"])
@given(pin=PINS, account=ACCOUNTS, digit=st.integers(0, 11), by=st.integers(1, 9))
def test_the_account_is_bound(name: str, pin: str, account: str, digit: int, by: int) -> None:
    """Another account is an error, or another PIN; in format 3 a change under its random fill may
    stay unseen, as the standard has it."""
    form = PIN_FORMS[name]
    sealed = form.seal(key_of(form), pin, whole(account), fill)
    changed = f"{account[:digit]}{(int(account[digit]) + by) % 10}{account[digit + 1 :]}"
    try:
        found = form.open(key_of(form), sealed, whole(changed))
    except PinBlockError:
        return
    assert found != pin or name == "iso-3"


@pytest.mark.parametrize(
    ("name", "clear", "what"),
    [
        ("iso-0", "1412AC89ABCDEF67", "block"),
        ("iso-0", "0312AC89ABCDEF67", "length"),
        ("iso-1", "0412345A13C70091", "block"),
        ("iso-1", "13123A5A13C70091", "length"),
        ("iso-1", "14123A5A13C70091", "block"),
        ("iso-2", "241234FFFFFFFFF0", "block"),
        ("iso-3", "3412340000000000", "block"),
        ("docutel", "7123456000000000", "length"),
        ("docutel", "4123450000000000", "block"),
        ("docutel", "41234A0000000000", "block"),
        ("diebold", "123FFFFFFFFFFFFF", "length"),
        ("diebold", "12F4FFFFFFFFFFFF", "block"),
        ("diebold", "FFFFFFFFFFFFFFFF", "length"),
        ("no-account", "04123FFFFFFFFFFF", "block"),
    ],
)
def test_what_is_no_block_is_refused(name: str, clear: str, what: str) -> None:
    """Control digit, digits and fill are ``block``, 4-12 is ``length``; no value in the text."""
    sealed = primitives.ecb_encrypt(DES_KEY, bytes.fromhex(clear))
    account = "000000000000" if name != "iso-0" else "987654321098"

    with pytest.raises(PinBlockError) as caught:
        PIN_FORMS[name].open(DES_KEY, sealed, whole(account))
    assert caught.value.what == what
    assert str(caught.value) == f"PIN block: bad {what}"


@pytest.mark.parametrize("name", sorted(PIN_FORMS))
@pytest.mark.parametrize("pin", ["123", "1234567890123", "12A4", "१२३४", ""])
def test_no_form_takes_what_is_no_pin(name: str, pin: str) -> None:
    """4-12 ASCII digits."""
    form = PIN_FORMS[name]
    with pytest.raises(PinBlockError):
        form.seal(key_of(form), pin, whole("123456789012"), fill)


def test_docutel_has_room_for_six_digits() -> None:
    """A longer PIN does not go in."""
    with pytest.raises(PinBlockError):
        pin_blocks.docutel_block("1234567", "123456789012", fill)


def test_the_fill_of_format_3_favours_no_letter() -> None:
    """Bytes from 252 on are thrown away; the six letters come out alike."""
    stream = iter(range(256))
    letters = pin_blocks.random_letters(
        lambda length: bytes(next(stream) for _ in range(length)), 240
    )

    assert {letters.count(letter) for letter in "abcdef"} == {40}


@pytest.mark.parametrize(
    ("table", "sound"),
    [
        ("0123456789012345", True),
        ("0123456789123456", True),
        ("5432109876543210", True),
        ("0000123456789123", True),
        ("0000012345678912", False),
        ("0123456012345601", False),
        ("0000000000000000", False),
    ],
)
def test_sound_decimalisation_tables(table: str, sound: bool) -> None:
    """At least 8 different digits, none more than four times."""
    assert primitives.table_is_sound(table) is sound
