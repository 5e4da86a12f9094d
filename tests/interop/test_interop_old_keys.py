"""The older key commands under LMK 00: FA, FC, MI, FK import; GC, FE, MG, FM export."""

import pytest

from tests.interop import oracle
from tests.interop.host import Host
from tests.interop.oracle import KEY_A, KEY_B, KEY_C, SINGLE, SINGLE_B, kcv, lmk, odd

ZMK = lmk("000", KEY_C)
BAD = bytes([KEY_A[0] ^ 1]) + KEY_A[1:]

OLD_IMPORTS = [
    ("FA", "", "001"),
    ("FC", "", "002"),
    ("MI", "", "003"),
    ("FK", "0", "00A"),
    ("FK", "1", "008"),
]
OLD_EXPORTS = [
    ("GC", "", "001"),
    ("FE", "", "002"),
    ("MG", "", "003"),
    ("FM", "0", "00A"),
    ("FM", "1", "008"),
]


@pytest.mark.parametrize(("command", "flag", "kind"), OLD_IMPORTS)
@pytest.mark.parametrize(
    ("tail", "scheme", "digits"),
    [("", "", 16), (";0U0", "U", 16), (";0U1", "U", 6), (";0X1", "X", 6)],
)
def test_old_import(
    host: Host, command: str, flag: str, kind: str, tail: str, scheme: str, digits: int
) -> None:
    """FA, FC, MI, FK: as A6, with a 16-digit check value unless ';' asks for another."""
    sent = oracle.zmk(KEY_C, odd(KEY_B), "X")
    answer = host.fields(f"{command}{flag}{ZMK}{sent}{tail}")
    assert answer[-digits:] == kcv(KEY_B, digits)
    held = answer[:-digits]
    assert oracle.from_lmk(kind, held) == odd(KEY_B)
    assert not scheme or held[0] == scheme


@pytest.mark.parametrize(("command", "flag", "kind"), OLD_EXPORTS)
@pytest.mark.parametrize(
    ("tail", "scheme", "digits"),
    [("", "U", 16), (";U00", "U", 16), (";U01", "U", 6), (";X01", "X", 6)],
)
def test_old_export(
    host: Host, command: str, flag: str, kind: str, tail: str, scheme: str, digits: int
) -> None:
    """GC, FE, MG, FM: as A8, with a 16-digit check value unless ';' asks for another."""
    answer = host.fields(f"{command}{flag}{ZMK}{lmk(kind, odd(KEY_B))}{tail}")
    assert answer[-digits:] == kcv(KEY_B, digits)
    sent = answer[:-digits]
    assert oracle.from_zmk(KEY_C, sent) == odd(KEY_B)
    assert sent[0] == scheme or tail == ""


@pytest.mark.parametrize(("command", "flag", "kind"), OLD_IMPORTS)
def test_old_import_of_single_keys(host: Host, command: str, flag: str, kind: str) -> None:
    """A single-length key comes in untagged and leaves untagged; a warning keeps its fields."""
    answer = host.fields(f"{command}{flag}{ZMK}{oracle.zmk(KEY_C, odd(SINGLE_B))}")
    assert answer == lmk(kind, odd(SINGLE_B)) + kcv(SINGLE_B, 16)
    bad = bytes([SINGLE[0] ^ 1]) + SINGLE[1:]
    warned = host.ask(f"{command}{flag}{ZMK}{oracle.zmk(KEY_C, bad)}")
    assert (warned.error, warned.text) == ("01", lmk(kind, SINGLE) + kcv(SINGLE, 16))
    assert host.ask(f"{command}{flag}{lmk('000', BAD)}{oracle.zmk(KEY_C, KEY_B)}").error == "10"


@pytest.mark.parametrize("variant", range(1, 6))
def test_old_import_under_an_atalla_variant(host: Host, variant: int) -> None:
    """FA with an Atalla variant digit after the key (T: FA.xml)."""
    sent = oracle.zmk(KEY_C, odd(KEY_B), "X", atalla=variant)
    answer = host.fields(f"FA{ZMK}{sent}{variant};0U1")
    assert answer == lmk("001", odd(KEY_B)) + kcv(KEY_B)
