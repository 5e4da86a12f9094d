"""MAC rules by name, against published vectors and independent implementations."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from psec import mac as psec_mac

from channels.bank_simulator.macs import keyed
from channels.iso8583.dialect import Dialect
from channels.iso8583.errors import DialectError
from channels.iso8583.load import parse_dialect
from channels.iso8583.mac import MacMaker, normalised, sm4_fold
from hsm import primitives
from switch.model.mac_form import CUP, MacForm
from tests.bank.dialects import CODECS, NAMES, sale

pytestmark = pytest.mark.filterwarnings("ignore::cryptography.utils.CryptographyDeprecationWarning")
SINGLE = bytes.fromhex("C24A8FB57AA20123")
DOUBLE = bytes.fromhex("0123456789ABCDEFFEDCBA9876543210")


def _text(name):
    from importlib.resources import files

    return (files("channels.iso8583") / "dialects" / f"{name}.yaml").read_text(encoding="utf-8")


def _with_rule(text, **mac) -> Dialect:
    """cup-pos with another MAC rule."""
    lines = "".join(f"  {name}: {value}\n" for name, value in mac.items())
    text = text.replace('  rule: cup_ecb\n  field: "64"\n', f'{lines}  field: "64"\n')
    return parse_dialect(text, "mine")


BINARY = _text("cup-pos").replace('"64": {like: an, max: 8', '"64": {like: b, max: 8')


def test_cup_ecb_is_unchanged_for_single_and_double_keys():
    """Single DES by a published vector; with 16 bytes of key 3DES in both rounds."""
    maker = MacMaker(CODECS["cup-pos"].dialect)
    data = maker.input("0200", {}, bytes.fromhex("4D08F434464FE7BF"))

    assert maker.form == CUP
    assert keyed(SINGLE, data, maker.form) == b"8A9E91B8"
    first = primitives.ecb_encrypt(DOUBLE, data[:8])
    second = primitives.ecb_encrypt(DOUBLE, primitives.xor(first, data[8:]))
    assert keyed(DOUBLE, data, maker.form).decode() == second[:4].hex().upper()


def test_x99_over_the_message_in_binary():
    """Eight bytes in the field: sixteen characters for the key service, the message as it is."""
    maker = MacMaker(_with_rule(BINARY, rule="x99_cbc"))
    mab = b"0200 any bytes"

    assert maker.form == MacForm(algorithm="cbc", padding="zeros", characters=16)
    assert maker.input("0200", {}, mab) == mab
    assert maker.sealed(b"head" + bytes(8), b"0123456789ABCDEF") == b"head" + bytes.fromhex(
        "0123456789ABCDEF"
    )


@pytest.mark.parametrize(("padding", "method"), [("zeros", 1), ("80", 2)])
@given(mab=st.binary(min_size=1, max_size=90))
def test_x919_against_another_library(padding, method, mab):
    """ISO 9797-1 algorithm 3 in both paddings."""
    maker = MacMaker(_with_rule(BINARY, rule="x919_retail", padding=f'"{padding}"'))
    data = maker.input("0200", {}, mab)

    theirs = psec_mac.generate_retail_mac(DOUBLE[:8], DOUBLE[8:], data, method)
    assert keyed(DOUBLE, data, maker.form).decode() == theirs.hex().upper()


@given(st.binary(min_size=1, max_size=90))
def test_x99_against_another_library(mab):
    """ISO 9797-1 algorithm 1 with a double key."""
    form = MacForm(algorithm="cbc", padding="zeros", characters=16)

    theirs = psec_mac.generate_cbc_mac(DOUBLE, mab, 1)
    assert keyed(DOUBLE, mab, form).decode() == theirs.hex().upper()


def test_sm4_folded_as_unionpay_and_plain():
    """Blocks of 16, 32 characters, two rounds, the first bytes; or a CBC-MAC over the message."""
    key = bytes.fromhex("0123456789ABCDEFFEDCBA9876543210")
    mab = bytes(range(40))
    folded = MacMaker(_with_rule(_text("cup-pos"), rule="sm4"))
    plain = MacMaker(_with_rule(BINARY, rule="sm4", folds="false", padding='"80"'))

    data = folded.input("0200", {}, mab)

    assert data == sm4_fold(mab)
    assert len(data) == 32
    first = primitives.sm4_encrypt(key, data[:16])
    second = primitives.sm4_encrypt(key, primitives.xor(first, data[16:]))
    assert keyed(key, data, folded.form).decode() == second[:4].hex().upper()
    assert plain.input("0200", {}, mab) == mab
    assert plain.form == MacForm(algorithm="sm4_cbc", padding="80", characters=16)


@given(st.binary(max_size=100))
def test_sm4_fold_is_the_xor_of_the_blocks(mab):
    """Against the definition, block by block."""
    fold = bytes(16)
    padded = mab + bytes(-len(mab) % 16)
    for at in range(0, len(padded), 16):
        fold = bytes(a ^ b for a, b in zip(fold, padded[at : at + 16], strict=True))

    assert sm4_fold(mab) == fold.hex().upper().encode()


def test_cups_string_is_made_of_fields_not_of_bytes():
    """Order of the dialect's list; upper case; other characters dropped; runs of spaces one."""
    maker = MacMaker(CODECS["cups-host"].dialect)
    fields = {"41": "pos-1  a ", "2": "62258812", "11": "000042", "60": "not in the list"}

    assert maker.input("0200", fields, b"") == b"0200 62258812 000042 POS1 A"
    assert (
        maker.input("0800", {"11": "000042", "53": "1600", "41": "x"}, b"") == b"0800 000042 1600"
    )
    assert normalised(["  ", "a,b.c"]) == b"A,B.C"


@pytest.mark.parametrize("name", NAMES)
def test_a_message_carries_its_mac_as_its_dialect_says(name):
    """Encoded with a blank, sealed, decoded: the same bytes lie under the MAC on both sides."""
    codec = CODECS[name]
    maker = MacMaker(codec.dialect)
    field = codec.dialect.mac.field
    fields = sale(name) | {field: maker.blank}

    encoded = codec.encode("0200", fields)
    data = maker.input("0200", fields, codec.mab(encoded))
    mac = keyed(DOUBLE, data, maker.form)
    message = codec.decode(maker.sealed(encoded, mac))

    assert message.fields[field].encode() == mac
    assert message.mab == codec.mab(encoded)
    assert maker.input("0200", message.fields, message.mab) == data


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("  rule: cup_ecb", "  rule: cup_cbc", "default is missing"),
        ("  rule: cup_ecb", "  rule: cup_ecb\n  fields: {default: ['9']}", "no other rule"),
        ('"64": {like: an, max: 8', '"64": {like: an, max: 7', "not 8 or 16"),
        ('"64": {like: an, max: 8', '"64": {like: an_ll, max: 8', "not 8 or 16"),
        ('field: "64"', 'field: "49"', "not 8 or 16"),
        ('field: "64"', 'field: "41"', "not the last field"),
    ],
)
def test_a_mac_that_cannot_be_made_is_named(old, new, said):
    """Rule, field and fields are checked when the dialect is read."""
    with pytest.raises(DialectError, match=said):
        parse_dialect(_text("cup-pos").replace(old, new, 1), "mine")
