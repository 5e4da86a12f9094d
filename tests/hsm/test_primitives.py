"""hsm.primitives against published answers and against two independent libraries."""

import doctest

import psec
import pytest
from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives.ciphers import Cipher, modes
from hypothesis import given
from hypothesis import strategies as st

from hsm import primitives

KEY = bytes.fromhex("0123456789ABCDEFFEDCBA9876543210")

keys = st.sampled_from((8, 16, 24)).flatmap(lambda n: st.binary(min_size=n, max_size=n))
blocks = st.integers(1, 12).flatmap(lambda n: st.binary(min_size=8 * n, max_size=8 * n))


def tripled(key: bytes) -> bytes:
    """The 24-byte form in which the other library takes every key, single DES included."""
    return {8: key * 3, 16: key + key[:8], 24: key}[len(key)]


def theirs(key: bytes, mode: modes.Mode, data: bytes) -> bytes:
    """Encryption by OpenSSL."""
    encryptor = Cipher(TripleDES(tripled(key)), mode).encryptor()
    return encryptor.update(data) + encryptor.finalize()


def test_doctests_hold() -> None:
    """The worked hex examples in the docstrings are true."""
    assert doctest.testmod(primitives).failed == 0


@given(keys, blocks)
def test_ecb_agrees_with_openssl(key: bytes, data: bytes) -> None:
    """Every key length, degenerate keys included, encrypts and decrypts as OpenSSL does."""
    sealed = primitives.ecb_encrypt(key, data)

    assert sealed == theirs(key, modes.ECB(), data)
    assert primitives.ecb_decrypt(key, sealed) == data


@given(keys, blocks, st.binary(min_size=8, max_size=8))
def test_cbc_and_its_mac_agree_with_openssl(key: bytes, data: bytes, iv: bytes) -> None:
    """CBC, and algorithm 1 as its last block, whether short (cached ECB) or long (CBC context)."""
    sealed = primitives.cbc_encrypt(key, iv, data)

    assert sealed == theirs(key, modes.CBC(iv), data)
    assert primitives.cbc_decrypt(key, iv, sealed) == data
    assert primitives.cbc_mac(key, data, iv) == sealed[-8:]


# psec still imports triple DES from where it used to be, and gives it single keys.
@pytest.mark.filterwarnings("ignore:Single-key TripleDES .8-byte keys. is deprecated")
@pytest.mark.filterwarnings("ignore:TripleDES has been moved to cryptography.hazmat.decrepit")
@given(st.binary(min_size=16, max_size=16), st.binary(min_size=1, max_size=200))
def test_x919_agrees_with_psec(key: bytes, data: bytes) -> None:
    """Retail MAC with zero and with 80 padding."""
    for method in (1, 2):
        mac = primitives.retail_mac(key, primitives.pad(data, method))

        assert mac == psec.mac.generate_retail_mac(key[:8], key[8:], data, method, 8)


@given(st.from_regex("[0-9]{4,12}", fullmatch=True), st.from_regex("[0-9]{13,19}", fullmatch=True))
def test_pin_blocks_agree_with_psec(pin: str, pan: str) -> None:
    """ISO format 0 built as psec builds it, and read back."""
    account = primitives.account12(pan)
    block = primitives.pin_block_0(pin, account)

    assert block == psec.pinblock.encode_pinblock_iso_0(pin, pan)
    assert primitives.pin_from_block_0(block, account) == pin


@pytest.mark.parametrize(
    ("key", "same_as"),
    [
        ("0101010101010101" * 2, "0101010101010101"),
        ("0123456789ABCDEF0022446688AACCEE", "0123456789ABCDEF"),
        ("0123456789ABCDEF" * 2 + "FEDCBA9876543210", "FEDCBA9876543210"),
        ("FEDCBA9876543210" + "0123456789ABCDEF" * 2, "FEDCBA9876543210"),
    ],
)
def test_degenerate_triple_des_is_single_des(key: str, same_as: str) -> None:
    """Equal neighbours, parity bits aside, cancel each other: test LMK pairs 18-19 and 38-39."""
    data = b"12345678"

    assert primitives.ecb_encrypt(bytes.fromhex(key), data) == primitives.ecb_encrypt(
        bytes.fromhex(same_as), data
    )


@pytest.mark.parametrize(
    ("block", "what"),
    [
        ("1412345FFFFFFFFF", "block"),
        ("0312345FFFFFFFFF", "length"),
        ("0D12345678901234", "length"),
        ("0412A4FFFFFFFFFF", "block"),
        ("041234FFFFFFFFF0", "block"),
    ],
)
def test_bad_pin_blocks_are_told_apart(block: str, what: str) -> None:
    """Wrong control nibble, length, digit or fill, each over account 000000000000."""
    with pytest.raises(primitives.PinBlockError) as caught:
        primitives.pin_from_block_0(bytes.fromhex(block), "0" * 12)

    assert caught.value.what == what
    assert block not in str(caught.value)


@given(st.binary(min_size=24, max_size=24))
def test_parity_changes_no_cipher(key: bytes) -> None:
    """odd_parity is idempotent, passes its own check, and leaves the check value alone."""
    adjusted = primitives.odd_parity(key)

    assert primitives.has_odd_parity(adjusted)
    assert primitives.odd_parity(adjusted) == adjusted
    assert primitives.check_value(adjusted) == primitives.check_value(key)


def test_forget_drops_contexts() -> None:
    """After forget the same key works again, from nothing."""
    first = primitives.check_value(KEY)
    primitives.forget()

    assert primitives.check_value(KEY) == first


@pytest.mark.parametrize("length", [0, 7, 9, 32])
def test_a_key_of_another_length_is_refused_without_its_value(length: int) -> None:
    """The error names the length only (I12)."""
    with pytest.raises(ValueError, match=f"not {length}"):
        primitives.ecb_encrypt(b"\xa5" * length, bytes(8))
