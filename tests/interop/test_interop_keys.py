"""Keys under the variant LMK 00: generate, form, import, export, check values, old translations."""

import itertools

import pytest

from tests.interop import oracle
from tests.interop.host import Host
from tests.interop.oracle import KEY_A, KEY_B, KEY_C, SINGLE, SINGLE_B, TRIPLE, kcv, lmk, odd

TYPES = ["000", "001", "002", "003", "008", "009", "109", "00A", "00B", "402"]
SINGLES = ["000", "001", "002", "003", "008", "00A", "00B"]
TRIPLES = ["000", "001", "002", "003", "008", "00A", "00B"]
TRAVELLING = [kind for kind in TYPES if kind != "00B"]
LENGTHS = {"Z": 8, "U": 16, "X": 16, "T": 24, "Y": 24}
CLEAR = {8: odd(SINGLE_B), 16: odd(KEY_B), 24: odd(TRIPLE)}
ZMK = lmk("000", KEY_C)
BAD = bytes([KEY_A[0] ^ 1]) + KEY_A[1:]


def cut(text: str, *lengths: int) -> list[str]:
    """Fields of these lengths; they must be the whole text."""
    assert len(text) == sum(lengths), text
    ends = list(itertools.accumulate(lengths))
    return [text[end - length : end] for end, length in zip(ends, lengths, strict=True)]


def width(scheme: str) -> int:
    """Characters of a key field of this scheme."""
    return LENGTHS[scheme] * 2 + (scheme != "Z")


SCHEMES = [
    (kind, scheme)
    for kind in TYPES
    for scheme in "ZUXTY"
    if (scheme in "UX")
    or (scheme == "Z" and kind in SINGLES)
    or (scheme in "TY" and kind in TRIPLES)
]


@pytest.mark.parametrize("suffix", ["", "%00"])
@pytest.mark.parametrize(("kind", "scheme"), SCHEMES)
def test_generated_key(host: Host, kind: str, scheme: str, suffix: str) -> None:
    """A0 mode 0: the key unwraps by 2.4 to odd parity, its check value is E(zeros)."""
    field, check = cut(host.fields(f"A00{kind}{scheme}{suffix}"), width(scheme), 6)
    assert field[0] == scheme or scheme == "Z"
    clear = oracle.from_lmk(kind, field)
    assert clear == odd(clear)
    assert check == kcv(clear)
    halves = {clear[i : i + 8] for i in range(0, len(clear), 8)}
    assert len(halves) == len(clear) // 8


def test_generated_keys_differ(host: Host) -> None:
    """Two keys are never the same."""
    assert len({host.fields("A00001U") for _ in range(20)}) == 20


@pytest.mark.parametrize("kind", TRAVELLING)
@pytest.mark.parametrize(("inner", "outer"), [("U", "U"), ("U", "X"), ("X", "X"), ("X", "U")])
def test_generated_and_exported_key(host: Host, kind: str, inner: str, outer: str) -> None:
    """A0 mode 1: under the LMK first, under the ZMK second, then the check value."""
    text = host.fields(f"A01{kind}{inner};0{ZMK}{outer}")
    held, sent, check = cut(text, 33, 33, 6)
    assert (held[0], sent[0]) == (inner, outer)
    clear = oracle.from_lmk(kind, held)
    assert oracle.from_zmk(KEY_C, sent) == clear == odd(clear)
    assert check == kcv(clear)


@pytest.mark.parametrize("scheme", ["U", "X"])
def test_generated_key_without_delimiter(host: Host, scheme: str) -> None:
    """A0 mode 1 with the flag right after the scheme (T and U clients without ';')."""
    held, sent, check = cut(host.fields(f"A01001U0{ZMK}{scheme}"), 33, 33, 6)
    clear = oracle.from_lmk("001", held)
    assert oracle.from_zmk(KEY_C, sent) == clear
    assert check == kcv(clear)


@pytest.mark.parametrize("kind", ["001", "002", "003", "008"])
def test_generated_single_and_triple_exported(host: Host, kind: str) -> None:
    """A0 mode 1, Z and T: single keys untagged on both sides; triple under a triple ZMK."""
    held, sent, check = cut(host.fields(f"A01{kind}Z;0{ZMK}Z"), 16, 16, 6)
    clear = oracle.from_lmk(kind, held)
    assert oracle.from_zmk(KEY_C, sent) == clear
    assert check == kcv(clear)
    big = lmk("000", odd(TRIPLE))
    held, sent, check = cut(host.fields(f"A01{kind}T;0{big}T"), 49, 49, 6)
    clear = oracle.from_lmk(kind, held)
    assert check == kcv(clear)
    assert oracle.from_zmk(odd(TRIPLE), sent) == clear


@pytest.mark.parametrize("kind", ["001", "002", "003"])
def test_generated_key_under_a_tmk(host: Host, kind: str) -> None:
    """A0 mode 1, flag 1: the exporting key is a TMK of type 002."""
    tmk = lmk("002", KEY_C)
    held, sent, check = cut(host.fields(f"A01{kind}U;1{tmk}X"), 33, 33, 6)
    clear = oracle.from_lmk(kind, held)
    assert oracle.from_zmk(KEY_C, sent) == clear
    assert check == kcv(clear)


@pytest.mark.parametrize(
    ("request_", "error"),
    [
        ("A00001Q", "26"),
        ("A00001?", "26"),
        ("A05001U", "15"),
        ("A0X001U", "15"),
        ("A00", "15"),
        ("A00ZZZU", "04"),
        (f"A01001U;0{lmk('000', BAD)}U", "10"),
        (f"A01001U;2{ZMK}U", "15"),
        (f"A01001U;0{ZMK}Q", "26"),
        ("A00001U%09", "13"),
    ],
)
def test_generate_refuses(host: Host, request_: str, error: str) -> None:
    """A0: scheme 26, mode 15, type 04, ZMK parity 10, LMK id 13."""
    assert host.ask(request_).error == error


@pytest.mark.parametrize("count", range(2, 10))
@pytest.mark.parametrize(
    ("kind", "scheme"), [("000", "U"), ("001", "X"), ("402", "U"), ("002", "Z"), ("008", "T")]
)
def test_form_from_components(host: Host, kind: str, scheme: str, count: int) -> None:
    """A4: two to nine components under the LMK, XORed, wrapped, checked."""
    base = CLEAR[LENGTHS[scheme]]
    parts = [odd(bytes((b * (i + 3) + 17 * i) & 255 for b in base)) for i in range(count)]
    whole = bytes(len(base))
    for part in parts:
        whole = oracle.xor(whole, part)
    fields = "".join(lmk(kind, part, scheme) for part in parts)
    if scheme == "Z":
        fields = "".join(
            "Z" + lmk(kind, part, scheme) if i % 2 else lmk(kind, part, scheme)
            for i, part in enumerate(parts)
        )
    field, check = cut(host.fields(f"A4{count}{kind}{scheme}{fields}"), width(scheme), 6)
    assert oracle.from_lmk(kind, field) == odd(whole)
    assert check == kcv(whole)


@pytest.mark.parametrize("count", ["0", "1"])
def test_form_from_too_few(host: Host, count: str) -> None:
    """A4: fewer than two components are 03."""
    assert host.ask(f"A4{count}000U{lmk('000', KEY_A)}").error == "03"


@pytest.mark.parametrize("position", [0, 1, 2])
def test_form_from_a_component_of_wrong_parity(host: Host, position: int) -> None:
    """A4: a component that does not have odd parity is 10 (U)."""
    parts = [KEY_A, KEY_B, KEY_C]
    parts[position] = BAD
    fields = "".join(lmk("000", odd(p) if p is not BAD else p) for p in parts)
    assert host.ask(f"A43000U{fields}").error == "10"


def test_form_a_key_of_zeros(host: Host) -> None:
    """A4: components that cancel out give no key."""
    same = lmk("000", KEY_A)
    assert host.ask(f"A42000U{same}{same}").error == "11"


IMPORTS = [
    (kind, arrives, kept)
    for kind in TRAVELLING
    for arrives, kept in [
        ("U", "U"),
        ("X", "U"),
        ("X", "X"),
        ("U", "X"),
        ("Z", "Z"),
        ("T", "T"),
        ("Y", "T"),
    ]
    if arrives not in "ZTY"
    or (arrives == "Z" and kind in SINGLES)
    or (arrives in "TY" and kind in TRIPLES)
]


@pytest.mark.parametrize(("kind", "arrives", "kept"), IMPORTS)
def test_imported_key(host: Host, kind: str, arrives: str, kept: str) -> None:
    """A6: from under the ZMK in any scheme to under the LMK in any scheme of that length."""
    clear = CLEAR[LENGTHS[arrives]]
    wrapping = odd(TRIPLE) if arrives in {"T", "Y"} else KEY_C
    field = oracle.zmk(wrapping, clear, arrives)
    outer = lmk("000", wrapping)
    answer = host.fields(f"A6{kind}{outer}{field}{kept}")
    held, check = cut(answer, width(kept), 6)
    assert held == lmk(kind, clear, kept)
    assert check == kcv(clear)


@pytest.mark.parametrize("kind", ["003", "008", "001"])
def test_imported_single_key_tagged_z(host: Host, kind: str) -> None:
    """A6 with 'Z' written before the key, as one Chinese client does (hsm.md 3.2)."""
    sent = "Z" + oracle.zmk(KEY_C, odd(SINGLE), "Z")
    assert host.fields(f"A6{kind}{ZMK}{sent}Z") == lmk(kind, SINGLE, "Z") + kcv(SINGLE)


def test_unionpay_sign_in(host: Host) -> None:
    """Field 62 of 40 bytes: X + PIK as 001, Z + MAK (hex offset 40…56) as 008 (hsm.md 3.2)."""
    pik, mak = odd(KEY_B), odd(SINGLE_B)
    wrapped = oracle.zmk(KEY_C, pik, "X")[1:] + kcv(pik, 8) + oracle.zmk(KEY_C, mak, "Z")
    field_62 = wrapped + "0" * 16 + kcv(mak, 8)
    assert len(field_62) == 80
    answer = host.fields(f"A6001{ZMK}X{field_62[:32]}U")
    assert answer == lmk("001", pik) + field_62[32:38]
    answer = host.fields(f"A6008{ZMK}Z{field_62[40:56]}Z")
    assert answer == lmk("008", mak) + field_62[72:78]


@pytest.mark.parametrize("variant", range(1, 6))
@pytest.mark.parametrize("kind", ["001", "003", "008"])
def test_import_and_export_under_an_atalla_variant(host: Host, kind: str, variant: int) -> None:
    """A6 and A8 with variant 1…5: bytes 0 and 8 of the ZMK (2.4)."""
    sent = oracle.zmk(KEY_C, odd(KEY_B), "X", atalla=variant)
    held = lmk(kind, odd(KEY_B))
    assert host.fields(f"A6{kind}{ZMK}{sent}U{variant}") == held + kcv(KEY_B)
    assert host.fields(f"A8{kind}{ZMK}{held}X{variant}") == sent + kcv(KEY_B)


@pytest.mark.parametrize("kept", ["U", "X"])
def test_import_warns_of_parity(host: Host, kept: str) -> None:
    """A6: a key of wrong parity comes in with 01 and with its parity set."""
    answer = host.ask(f"A6001{ZMK}{oracle.zmk(KEY_C, BAD, 'X')}{kept}")
    assert answer.error == "01"
    held, check = cut(answer.text, 33, 6)
    assert oracle.from_lmk("001", held) == odd(BAD)
    assert check == kcv(BAD)


@pytest.mark.parametrize(
    ("request_", "error"),
    [
        (f"A6001{ZMK}{oracle.zmk(KEY_C, bytes(16), 'X')}U", "11"),
        (f"A6001{ZMK}{oracle.zmk(KEY_C, bytes(8), 'Z')}Z", "11"),
        (f"A6001{lmk('000', BAD)}{oracle.zmk(KEY_C, KEY_B, 'X')}U", "10"),
        (f"A6001{lmk('001', KEY_C)}{oracle.zmk(KEY_C, KEY_B, 'X')}U", "10"),
        (f"A6001{ZMK}{oracle.zmk(KEY_C, KEY_B, 'X')}Q", "26"),
        (f"A6ZZZ{ZMK}{oracle.zmk(KEY_C, KEY_B, 'X')}U", "04"),
        (f"A6001{ZMK}{oracle.zmk(KEY_C, KEY_B, 'X')[:-2]}", "15"),
        (f"A6001{ZMK}", "15"),
        ("A6001", "15"),
        (f"A6001{ZMK[:-1]}G{oracle.zmk(KEY_C, KEY_B, 'X')}U", "15"),
        (f"A6001{ZMK}{oracle.zmk(KEY_C, KEY_B, 'X')}U%44", "13"),
        (f"A6001{ZMK}{oracle.zmk(KEY_C, KEY_B, 'X')}Z", "27"),
        (f"A6001{ZMK}{oracle.zmk(KEY_C, KEY_B, 'X')}T", "27"),
    ],
)
def test_import_refuses(host: Host, request_: str, error: str) -> None:
    """A6: all-zero 11, ZMK parity or wrong ZMK type 10, scheme 26, type 04, short 15, length 27."""
    got = host.ask(request_).error
    assert got == error or (error == "27" and got == "26")


@pytest.mark.parametrize("kind", TRAVELLING)
@pytest.mark.parametrize(("held", "sent"), [("U", "U"), ("U", "X"), ("X", "X"), ("X", "U")])
def test_exported_key(host: Host, kind: str, held: str, sent: str) -> None:
    """A8: from under the LMK to under the ZMK, with the check value."""
    answer = host.fields(f"A8{kind}{ZMK}{lmk(kind, odd(KEY_B), held)}{sent}")
    assert answer == oracle.zmk(KEY_C, odd(KEY_B), sent) + kcv(KEY_B)


@pytest.mark.parametrize("kind", SINGLES[:5])
def test_exported_single_and_triple(host: Host, kind: str) -> None:
    """A8 of a single key (scheme Z, untagged) and of a triple one under a triple ZMK."""
    answer = host.fields(f"A8{kind}{ZMK}{lmk(kind, odd(SINGLE_B))}Z")
    assert answer == oracle.zmk(KEY_C, odd(SINGLE_B)) + kcv(SINGLE_B)
    big = lmk("000", odd(TRIPLE))
    triple = odd(bytes(reversed(TRIPLE)))
    answer = host.fields(f"A8{kind}{big}{lmk(kind, triple)}T")
    assert answer == oracle.zmk(odd(TRIPLE), triple, "T") + kcv(triple)


@pytest.mark.parametrize(
    ("request_", "error"),
    [
        (f"A8001{lmk('000', BAD)}{lmk('001', KEY_B)}U", "10"),
        (f"A8001{ZMK}{lmk('001', BAD)}U", "11"),
        (f"A8001{lmk('000', BAD)}{lmk('001', BAD)}U", "10"),
        (f"A8001{ZMK}{lmk('002', KEY_B)}U", "11"),
        (f"A8001{ZMK}{lmk('001', KEY_B)}Q", "26"),
        (f"A8001{ZMK}{lmk('001', KEY_B)}", "15"),
    ],
)
def test_export_refuses(host: Host, request_: str, error: str) -> None:
    """A8: ZMK 10 before key 11 (U: customResponseError), scheme 26, short 15."""
    assert host.ask(request_).error == error


PAIR_CODES = ["00", "01", "02", "03", "08", "09", "0A", "0B"]


@pytest.mark.parametrize("code", PAIR_CODES)
@pytest.mark.parametrize(
    ("tail", "digits"), [("", 16), (";000", 16), (";001", 6), ("%00", 16), (";001%00", 6)]
)
def test_check_value_by_pair(host: Host, code: str, tail: str, digits: int) -> None:
    """BU with a pair code: 16 digits, or as the option after ';00' says."""
    assert host.fields(f"BU{code}1{lmk('0' + code, KEY_B)}{tail}") == kcv(KEY_B, digits)


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize(
    ("tail", "digits"), [(";{0}", 16), (";{0};000", 16), (";{0};001", 6), (";{0};001%00", 6)]
)
def test_check_value_by_type(host: Host, kind: str, tail: str, digits: int) -> None:
    """BU with FF and ';type' (U)."""
    request = f"BUFF1{lmk(kind, KEY_B)}{tail.format(kind)}"
    assert host.fields(request) == kcv(KEY_B, digits)


@pytest.mark.parametrize(
    ("flag", "scheme"), [("0", "Z"), ("1", "U"), ("1", "X"), ("2", "T"), ("2", "Y")]
)
@pytest.mark.parametrize("code", ["01", "02", "03", "08"])
def test_check_value_by_length(host: Host, code: str, flag: str, scheme: str) -> None:
    """BU length flags 0, 1, 2: single, double, triple."""
    clear = CLEAR[LENGTHS[scheme]]
    assert host.fields(f"BU{code}{flag}{lmk('0' + code, clear, scheme)}") == kcv(clear, 16)


def test_check_value_of_an_untagged_pair(host: Host) -> None:
    """BU of 32 untagged digits with flag 1 (CVK and PVK pairs, ZMKs)."""
    assert host.fields("BU021" + lmk("002", KEY_B, "X")[1:]) == kcv(KEY_B, 16)


@pytest.mark.parametrize(
    ("request_", "error"),
    [
        ("BU013" + lmk("001", KEY_B), "05"),
        ("BU01X" + lmk("001", KEY_B), "05"),
        ("BU011" + lmk("001", BAD), "10"),
        ("BU011" + lmk("002", KEY_B), "10"),
        ("BU011U1234", "15"),
        ("BUZZ1" + lmk("001", KEY_B), "04"),
        ("BU011" + lmk("001", KEY_B) + "%42", "13"),
    ],
)
def test_check_value_refuses(host: Host, request_: str, error: str) -> None:
    """BU: flag 05, parity or wrong pair 10, short 15, pair code 04, LMK 13."""
    assert host.ask(request_).error == error


def test_untagged_double_zmk(host: Host) -> None:
    """2.3: a ZMK may stand as 32 untagged digits (plain ECB) in every command that takes one."""
    bare = lmk("000", KEY_C, "X")[1:]
    sent, held = oracle.zmk(KEY_C, odd(KEY_B), "X"), lmk("001", odd(KEY_B))
    assert host.fields(f"A6001{bare}{sent}U") == held + kcv(KEY_B)
    assert host.fields(f"A8001{bare}{held}X") == sent + kcv(KEY_B)
    assert host.fields(f"FA{bare}{sent};0U1") == held + kcv(KEY_B)
    assert host.fields(f"GC{bare}{held};X01") == sent + kcv(KEY_B)
    made, exported, check = cut(host.fields(f"A01001U;0{bare}X"), 33, 33, 6)
    assert oracle.from_zmk(KEY_C, exported) == oracle.from_lmk("001", made)
    assert check == kcv(oracle.from_lmk("001", made))
