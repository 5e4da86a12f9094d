"""Key commands under the variant test LMK: public answers, refusals, keys that come and go."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hsm import keys, primitives
from hsm.keys import parse_cryptogram
from hsm.policy import Policy, open_policy

KEY = "0123456789ABCDEFFEDCBA9876543210"
OTHER = "1023456789ABCDEFFEDCBA9876543201"
ZMK = "U1457FF6ADF6250C66C368416B4C9D383"
ZPK = "BAB32D775A38E4AB"
FLIPPED = "U163A0E7C0F2124E56192A4510F395ED7"
COMPONENTS = (
    "X2EC8A0412B5D0E86E3C1E5ABFA19B3F5XFF43378ED5D85B1BC465BF000335FBF1"
    "XA235EDF4C58A2CB0C84641D07319CF21"
)

PUBLIC = [
    (f"A8002{ZMK}7BB126F2BE631486Z", "A90016224FDAA779AFB31FFD3C"),
    (
        f"A8002{ZMK}U8463435FC4B4DAA0C49025272C29B12CU",
        "A900U2C62A23D001B97412950CD8BE66C7639070753",
    ),
    ("A43002Z3B723AF4CF00A7A6954111D254A90D17EAAF49979FA95742", "A500FE018240022A76DCA192FE"),
    (f"A43000X{COMPONENTS}", "A500XC0BC1DFFC449A402DAB71250CA5869CC8CE396"),
    ("BU0200406FBB23A5214DF", "BV000035BBE340A4B763"),
    ("BU000ACE9B8A0BE50C09B", "BV004BD5E2482582C2C4"),
    ("BU001U93CB819F8FEE4F78BF9C4CDD84750DB1", "BV00B70AD25C94548822"),
    ("BU011U1EF828AA8F6B80EB83E19FBC373F3A85", "BV006F1E3F74F826B7EB"),
    ("BU011U1EF828AA8F6B80EB83E19FBC373F3A85;001", "BV006F1E3F"),
    ("BUFF1U1EF828AA8F6B80EB83E19FBC373F3A85;001;001", "BV006F1E3F"),
    (
        "A6001U71979DEB8587E2734F1E99D5DCAEF9ACU482C4E722BB0CF1845E1E5BD16310119U",
        "A700U0E07CDC0161A0DE3B5AA44DF227EC9DEABDEBC",
    ),
    (f"A6001{ZMK}2B930A07119F93A8Z", "A700BAB32D775A38E4AB73936E"),
    (f"FA{ZMK}2B930A07119F93A8", "FB00BAB32D775A38E4AB73936E441E46819D"),
    (f"FA{ZMK}2B930A07119F93A8;XZ1", "FB00BAB32D775A38E4AB73936E"),
    (f"GC{ZMK}{ZPK}", "GD002B930A07119F93A873936E441E46819D"),
    (f"GC{ZMK}{ZPK};ZZ1", "GD002B930A07119F93A873936E"),
    (f"FC{ZMK}55FF9012A3854818", "FD000406FBB23A5214DF0035BBE340A4B763"),
    (
        f"FC{ZMK}XF7D53991678347EFB3026882F724E6EE;XU1",
        "FD00U8463435FC4B4DAA0C49025272C29B12C070753",
    ),
    (
        f"FE{ZMK}U8463435FC4B4DAA0C49025272C29B12C;XX1",
        "FF00XF7D53991678347EFB3026882F724E6EE070753",
    ),
    ("RA", "RB00"),
]
"""Requests and answers of the public test suite of a simulator (thalessimulatorlibrary), under the
published variant test LMK; with a double-length ZMK where it also has single-length ones."""


@pytest.fixture
def host(make_host: Callable[[Policy], Any]) -> Any:
    """Everything on, as ``--test-lmk`` serves."""
    return make_host(open_policy())


@pytest.mark.parametrize(("request_", "answer"), PUBLIC)
def test_public_answers(host: Any, request_: str, answer: str) -> None:
    """Byte for byte, scheme Z untagged, FA without ``;`` with 16 digits of check value."""
    assert host.raw(b"0000" + request_.encode()).decode() == "0000" + answer


@pytest.mark.parametrize("tail", ["%00", "\x19trailer", "%00\x19trailer"])
def test_the_tail_may_follow_every_key_command(host: Any, tail: str) -> None:
    """LMK id and trailer behind whatever options there are; the trailer comes back."""
    for request, answer in PUBLIC:
        got = host.raw(b"0000" + (request + tail).encode()).decode()
        assert got == "0000" + answer + tail.removeprefix("%00")


def test_initial_key_of_dukpt(host: Any) -> None:
    """A0 modes A and B: the published BDK and KSN give the published IKEY (check value AF8C07)."""
    bdk = host.wrap("009", KEY)
    common = {"key_type": "302", "scheme_lmk": "U", "derive_mode": "0", "bdk_type": "1"}
    common |= {"bdk": bdk, "ksn": "FFFF9876543210E"}

    error, made = host.ask("A0", mode="A", **common)
    assert (error, made["check_value"]) == ("00", "AF8C07")
    initial = host.lmk.unwrap("302", made["key_lmk"])
    assert initial == primitives.odd_parity(bytes.fromhex("6AC292FAA1315B4D858AB3A3D7D5933A"))

    error, sent = host.ask("A0", mode="B", zmk=host.wrap("000", OTHER), scheme_zmk="X", **common)
    assert (error, sent["key_lmk"]) == ("00", made["key_lmk"])
    assert keys.unwrap(bytes.fromhex(OTHER), sent["key_zmk"]) == initial
    assert host.ask("A0", mode="A", **(common | {"key_type": "001"}))[0] == "28"
    assert host.ask("A0", mode="A", **(common | {"bdk": FLIPPED}))[0] == "10"


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    key_type=st.sampled_from(sorted(keys.KEY_TYPES)),
    scheme=st.sampled_from("UTXYZ"),
    zmk=st.binary(min_size=24, max_size=24),
    clear=st.binary(min_size=24, max_size=24),
    atalla=st.sampled_from((None, "1", "05", "3")),
)
def test_import_undoes_export(
    host: Any, key_type: str, scheme: str, zmk: bytes, clear: bytes, atalla: str | None
) -> None:
    """A8 then A6 is the same cryptogram and check value, all types and schemes."""
    clear = primitives.odd_parity(clear[: keys.SCHEME_BYTES[scheme]])
    zmk = primitives.odd_parity(zmk)
    if primitives.is_weak(clear) or primitives.is_weak(zmk):
        return
    held = host.lmk.wrap(key_type, scheme, clear)
    named: dict[str, Any] = {"key_type": key_type, "zmk": host.lmk.wrap("000", "T", zmk)}
    named |= {} if atalla is None else {"atalla_variant": atalla}

    error, sent = host.ask("A8", key=held, scheme_zmk=scheme, **named)
    assert error == "00"
    back = host.ask("A6", key_zmk=sent["key_zmk"], scheme_lmk=scheme, **named)
    assert back == ("00", {"key_lmk": held, "check_value": sent["check_value"]})


def test_components_are_refused(host: Any) -> None:
    """03 for their number, 10 for parity, 27 for unequal lengths, 11 when they cancel out, 75 when
    a weak key comes out."""
    one, two = str(host.wrap("001", KEY)), str(host.wrap("001", OTHER))
    single = str(host.lmk.wrap("001", "Z", bytes.fromhex(KEY[:16])))
    nearly = primitives.xor(bytes.fromhex(KEY), b"\x01\xfe" * 8)
    weak = str(host.lmk.wrap("001", "U", primitives.odd_parity(nearly)))
    for body, error in (
        (f"1001U{one}", "03"), (f"0001U{one}", "03"), (f"2001U{one}{FLIPPED}", "10"),
        (f"2001U{one}Z{single}", "27"), (f"2001U{one}{one}", "11"), (f"2001U{one}{weak}", "75"),
        (f"3001U{one}{two}", "15"), (f"2001T{one}{two}", "26"), (f"2ZZZU{one}{two}", "04"),
    ):  # fmt: skip
        assert host.raw(b"0000A4" + body.encode()) == b"0000A5" + error.encode()


def test_nine_components_make_one_key(host: Any, entropy: Any) -> None:
    """Their XOR, set to odd parity."""
    parts = [primitives.odd_parity(entropy(16)) for _ in range(9)]
    whole = bytes(16)
    for part in parts:
        whole = primitives.xor(whole, part)
    named = {
        f"component_{at + 1}": host.lmk.wrap("009", "X", part) for at, part in enumerate(parts)
    }

    error, made = host.ask("A4", components="9", key_type="009", scheme_lmk="U", **named)
    assert error == "00"
    assert host.lmk.unwrap("009", made["key_lmk"]) == primitives.odd_parity(whole)


@pytest.mark.parametrize(
    ("clear", "error"),
    [(bytes(16), "11"), (b"\x01" * 16, "75"), (bytes.fromhex(KEY[:16] * 2), "75"),
     (bytes.fromhex("FEFEFEFEFEFEFEFE" + KEY[:16]), "75")],
)  # fmt: skip
@pytest.mark.parametrize("code", ["A6", "FA"])
def test_a_worthless_key_stays_outside(host: Any, code: str, clear: bytes, error: str) -> None:
    """11 all zero; 75 weak, or a single key in the place of a double one."""
    sent = keys.wrap(bytes.fromhex(KEY), "X", clear)
    named = {"key_type": "001", "scheme_lmk": "U"} if code == "A6" else {}

    assert host.ask(code, zmk=host.wrap("000", KEY), key_zmk=sent, **named) == (error, {})


@pytest.mark.parametrize(
    ("code", "flag", "key_type"),
    [("FA", "", "001"), ("FC", "", "002"), ("FK", "0", "00A"), ("FK", "1", "008"),
     ("MI", "", "003")],
)  # fmt: skip
def test_older_imports_tell_wrong_parity_too(
    host: Any, code: str, flag: str, key_type: str
) -> None:
    """01 with the key set right, under the type that the command is for."""
    even = bytes(b ^ 1 for b in bytes.fromhex(OTHER))
    sent = keys.wrap(bytes.fromhex(KEY), "X", even)
    named = {"kind": flag} if flag else {}

    error, made = host.ask(code, zmk=host.wrap("000", KEY), key_zmk=sent, **named)
    assert error == "01"
    assert made["key_lmk"] == host.lmk.wrap(key_type, "X", bytes.fromhex(OTHER))
    assert len(made["check_value"]) == 16


@pytest.mark.parametrize(
    ("code", "flag", "key_type"),
    [("GC", "", "001"), ("FE", "", "002"), ("FM", "0", "00A"), ("FM", "1", "008"),
     ("MG", "", "003")],
)  # fmt: skip
def test_older_exports(host: Any, code: str, flag: str, key_type: str) -> None:
    """The key's own scheme without ``;``, any other with it, 11 for another type's key."""
    named: dict[str, Any] = {"zmk": host.wrap("000", KEY)} | ({"kind": flag} if flag else {})
    key, clear = host.wrap(key_type, OTHER), bytes.fromhex(OTHER)

    _, sent = host.ask(code, key=key, **named)
    assert sent["key_zmk"] == keys.wrap(bytes.fromhex(KEY), "U", clear)
    _, sent = host.ask(code, key=key, scheme_zmk="X", kcv_form="1", **named)
    assert sent["key_zmk"] == keys.wrap(bytes.fromhex(KEY), "X", clear)
    assert len(sent["check_value"]) == 6
    assert host.ask(code, key=host.wrap("402", OTHER), **named)[0] == "11"


def test_export_refuses(host: Any, make_host: Callable[[Policy], Any]) -> None:
    """27 for a weaker ZMK, 26 for another length, 10 and 11 for parity, 29 for what stays."""
    common: dict[str, Any] = {"key_type": "001", "zmk": host.wrap("000", KEY)}
    common |= {"key": host.wrap("001", OTHER), "scheme_zmk": "U"}
    triple = host.lmk.wrap("001", "T", primitives.odd_parity(bytes(range(16, 40))))
    for changed, error in (
        ({"key": triple, "scheme_zmk": "T"}, "27"), ({"scheme_zmk": "T"}, "26"),
        ({"zmk": parse_cryptogram(FLIPPED)}, "10"), ({"key": parse_cryptogram(FLIPPED)}, "11"),
        ({"zmk": parse_cryptogram(FLIPPED), "key": parse_cryptogram(FLIPPED)}, "10"),
        ({"key_type": "FFF"}, "28"), ({"scheme_zmk": "S"}, "00"), ({"scheme_zmk": "R"}, "00"),
    ):  # fmt: skip
        assert host.ask("A8", **(common | changed))[0] == error

    strict = make_host(Policy(needing_authority=frozenset()))
    dek = common | {"key_type": "00B", "key": host.wrap("00B", OTHER)}
    assert strict.ask("A8", **dek)[0] == "29"
    assert make_host(Policy()).ask("A8", **common)[0] == "17"


@pytest.mark.parametrize("flag", [";0", ";1", "0", "1", ""])
def test_the_flag_of_a0_with_and_without_its_semicolon(host: Any, flag: str) -> None:
    """Both public clients' forms, and none: 1 takes a TMK, otherwise a ZMK."""
    under = host.wrap("002" if "1" in flag else "000", KEY)
    frame = f"0000A01001U{flag}{under}X".encode()

    assert host.raw(frame)[4:8] == b"A100"
    wrong = host.wrap("000" if "1" in flag else "002", KEY)
    assert host.raw(f"0000A01001U{flag}{wrong}X".encode()) == b"0000A110"


def test_tmk_type_where_key_types_are_kept_apart(make_host: Callable[[Policy], Any]) -> None:
    """PCI HSM: A0 with the TMK flag takes type 80D, no longer 002."""
    apart = make_host(Policy(separate_002=True))
    values = {"mode": "1", "key_type": "70D", "scheme_lmk": "U", "zmk_flag": "1"}

    assert apart.ask("A0", zmk=apart.wrap("80D", KEY), scheme_zmk="X", **values)[0] == "00"
    assert apart.ask("A0", zmk=apart.wrap("002", KEY), scheme_zmk="X", **values)[0] == "10"


def test_a_component_is_printed_nowhere_but_on_paper(
    host: Any, make_host: Callable[[Policy], Any]
) -> None:
    """A2: on test LMKs a component for A4; elsewhere there is no printer (16)."""
    error, made = host.ask("A2", key_type="000", scheme_lmk="U")
    assert error == "00"
    assert len(host.lmk.unwrap("000", made["key_lmk"])) == 16
    live = make_host(Policy(needing_authority=frozenset()))
    assert live.ask("A2", key_type="000", scheme_lmk="U") == ("16", {})


def test_moving_a_key_to_another_scheme(host: Any) -> None:
    """BW on test LMKs, whose 00 replaces nothing: the same key, check value on request."""
    key = host.wrap("002", KEY)
    held = {"pair_code": "02", "length_flag": "1", "key": key}

    assert host.ask("BW", **held) == ("00", {"key": key})
    assert host.ask("BW", **held, scheme_lmk="0")[1]["key"] == key
    asked = {"scheme_lmk": "X", "kcv_wanted": "1", "kcv_form": "1"}
    assert host.ask("BW", **held, **asked) == (
        "00",
        {"key": host.wrap("002", KEY, "X"), "check_value": "08D7B4"},
    )
    assert host.ask("BW", **(held | {"length_flag": "2"}))[0] == "05"
    assert host.ask("BW", **(held | {"pair_code": "01"}))[0] == "10"


def test_ra_cancels_the_authority(host: Any) -> None:
    """00, and the service is told."""
    cancelled: list[bool] = []
    host.processor.service.cancel_authority = lambda: cancelled.append(True)

    assert host.ask("RA") == ("00", {})
    assert cancelled == [True]


def test_gk_answers_68(host: Any) -> None:
    """No layout of it is public."""
    assert host.raw(b"0000GK\x19t") == b"0000GL68\x19t"
