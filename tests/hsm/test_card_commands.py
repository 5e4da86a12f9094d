"""CW, CY, KQ, KW: published answers, other implementations, refusals."""

import warnings
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hsm import primitives
from hsm.policy import Policy, open_policy

with warnings.catch_warnings():
    # pyemv and psec import triple DES from where it used to be.
    warnings.simplefilter("ignore")
    from psec.cvv import generate_cvv
    from pyemv import ac, kd

KEY = "0123456789ABCDEFFEDCBA9876543210"
CVK_BLOCK = b"S00072C0TN00E0001A417975993E2331918759DD1656AC94306BE01C19FDE29E83A93AB42"
MK_BLOCK = b"S00072E0TN00S00012574E37226ADAA76E5B8F2C4F14AD34F1F054EF52CB56BE2F4D03BEA"

PAN_PSN = bytes.fromhex("5600000000000001")
ATC, NUMBER, ARC = bytes.fromhex("7400"), bytes.fromhex("C2C6A091"), b"00"
DATA = bytes.fromhex(
    "00000000000000000000000009780000000000097820121431C2C6A0915800740003A00000000000"
)
ARQC = bytes.fromhex("46E98E9B85E9C640")

pytestmark = pytest.mark.filterwarnings("ignore::cryptography.utils.CryptographyDeprecationWarning")
many = settings(
    deadline=None, max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture]
)

# ---- CVV ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cvk", "card", "cvv"),
    [
        (b"U9B4934384B19946B040CD702B4D58145", b"4123456789012345;8701101", b"561"),
        (b"X0A61E674E88C6A7EEABC38C2B2BB492F", b"4123456789012345;8701101", b"561"),
        (b"0A61E674E88C6A7EEABC38C2B2BB492F", b"4123456789012345;8701101", b"561"),
        (b"0A61E674E88C6A7EEABC38C2B2BB492F", b"4999988887777;9105111", b"649"),
        (CVK_BLOCK, b"502265400089000092;2010620", b"181"),
    ],
)
def test_published_cvv(host: Any, cvk: bytes, card: bytes, cvv: bytes) -> None:
    """CW makes what the public simulator and a real device made; CY takes it, and no other."""
    assert host.raw(b"0001CW" + cvk + card) == b"0001CX00" + cvv
    assert host.raw(b"0001CY" + cvk + cvv + card) == b"0001CZ00"
    assert host.raw(b"0001CY" + cvk + b"111" + card) == b"0001CZ01"


@many
@given(pan=st.text("0123456789", min_size=13, max_size=19), rest=st.text("0123456789", min_size=7,
                                                                        max_size=7))  # fmt: skip
def test_cvv_is_what_psec_makes(host: Any, pan: str, rest: str) -> None:
    """For any card number of 13 to 19 digits."""
    values = {"pan": pan, "expiry": rest[:4], "service_code": rest[4:]}
    expected = generate_cvv(bytes.fromhex(KEY), pan, rest[:4], rest[4:])

    assert host.ask("CW", cvk=host.wrap("402", KEY), **values) == ("00", {"cvv": expected})


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b"4123456789012345:8701101", b"15"),
        (b"41234567890123456789;8701101", b"15"),
        (b";8701101", b"15"),
        (b"4123456789012345;87011", b"15"),
    ],
)
def test_CW_refuses_what_is_no_card(host: Any, body: bytes, error: bytes) -> None:
    """Another delimiter, a PAN of 20 digits or none, half a service code."""
    cvk = str(host.wrap("402", KEY)).encode()

    assert host.raw(b"0001CW" + cvk + body) == b"0001CX" + error


def test_CW_refuses_keys(host: Any) -> None:
    """27 for another length, 10 for another type, A6 for another usage."""
    values = {"pan": "4123456789012345", "expiry": "8701", "service_code": "101"}

    assert host.ask("CW", cvk=host.wrap("402", KEY + KEY[:16]), **values)[0] == "27"
    assert host.ask("CW", cvk=host.wrap("003", KEY), **values)[0] == "10"
    assert host.raw(b"0001CW" + MK_BLOCK + b"4123456789012345;8701101") == b"0001CXA6"


# ---- KQ -----------------------------------------------------------------------------------------


def kq(mode: bytes, body: bytes, scheme: bytes = b"0") -> bytes:
    """A request under the published key block."""
    return b"0001KQ" + mode + scheme + MK_BLOCK + PAN_PSN + ATC + NUMBER + body + b"%01"


def test_KQ_of_a_real_device(host: Any) -> None:
    """Checked, checked and answered, answered: a public client's example."""
    arpc = bytes.fromhex("B7C0556F15D1F17C")

    assert host.raw(kq(b"0", b"28" + DATA + b";" + ARQC)) == b"0001KR00"
    assert host.raw(kq(b"0", b"25" + DATA[:-3] + b";" + ARQC)) == b"0001KR00"
    assert host.raw(kq(b"1", b"28" + DATA + b";" + ARQC + ARC)) == b"0001KR00" + arpc
    assert host.raw(kq(b"2", ARQC + ARC)) == b"0001KR00" + arpc


def test_I10_a_wrong_arqc_is_01(host: Any, make_host: Callable[[Policy], Any]) -> None:
    """And says what was expected only where policy lets it."""
    wrong = kq(b"1", b"28" + DATA + b";" + ARQC[:-1] + b"\x41" + ARC)

    assert host.raw(wrong) == b"0001KR01"
    assert make_host(open_policy()).raw(wrong) == b"0001KR01" + ARQC


def test_KQ_under_mchip(host: Any) -> None:
    """Session key of counter and number; the ARPC under the card's own key."""
    mk = primitives.odd_parity(bytes.fromhex(KEY))
    card_key = primitives.card_key_a(mk, PAN_PSN)
    halves = [ATC + mark + b"\0" + NUMBER for mark in (b"\xf0", b"\x0f")]
    session = b"".join(primitives.ecb_encrypt(card_key, half) for half in halves)
    arqc = primitives.retail_mac(session, DATA)
    error, fields = host.ask(
        "KQ", mode="1", scheme="1", mk_ac=host.wrap("109", KEY), pan_psn=PAN_PSN, atc=ATC,
        number=NUMBER, data=DATA, arqc=arqc, response_code=ARC,
    )  # fmt: skip

    assert (error, fields) == ("00", {"arpc": ac.generate_arpc_1(card_key, arqc, ARC)})


@pytest.mark.parametrize(
    ("frame", "error"),
    [
        (kq(b"3", b"28" + DATA + b";" + ARQC), b"04"),
        (kq(b"0", b"28" + DATA + b";" + ARQC, b"7"), b"05"),
        (kq(b"0", b"00;" + ARQC), b"81"),
        (kq(b"0", b"28" + DATA + b"," + ARQC), b"15"),
        (kq(b"0", b"28" + DATA[:8]), b"80"),
        (kq(b"0", b"28" + DATA + b";" + ARQC).replace(MK_BLOCK, CVK_BLOCK), b"A6"),
    ],
)
def test_KQ_refuses(host: Any, frame: bytes, error: bytes) -> None:
    """Mode 04, scheme 05, no data 81, delimiter 15, short data 80, another key A6."""
    assert host.raw(frame) == b"0001KR" + error


# ---- KW -----------------------------------------------------------------------------------------


def test_KW_of_a_real_device(host: Any) -> None:
    """EMV2000 tree with branch 4 and height 8: a public client's example."""
    data = bytes.fromhex(
        "000000000000000000000000097800000000000978201214313C4658455800000103A00000000000"
    )
    arqc = bytes.fromhex("897FE51A726DFE47")
    head = b"0001KW00" + MK_BLOCK + bytes(16) + PAN_PSN + b"1" + b"\x00\x01"

    assert host.raw(head + b"28" + data + b";" + arqc + b"%01") == b"0001KX00"
    assert host.raw(head + b"28" + data + b";" + ARQC + b"%01") == b"0001KX01"


@many
@given(
    scheme=st.sampled_from("0123"), tree=st.sampled_from("01"), mode=st.sampled_from("01234"),
    atc=st.binary(min_size=2, max_size=2), iv=st.binary(min_size=16, max_size=16),
    data=st.binary(min_size=1, max_size=90), pan=st.text("123456789", min_size=13, max_size=19),
    more=st.binary(max_size=8),
)  # fmt: skip
def test_KW_is_what_pyemv_makes(
    host: Any, scheme: str, tree: str, mode: str, atc: bytes, iv: bytes, data: bytes, pan: str,
    more: bytes,
) -> None:  # fmt: skip
    """Every scheme and mode: tree and common session key, option A and B, ARPC 1 and 2."""
    mk, option_b = bytes.fromhex(KEY), scheme in "13"
    derive = kd.derive_icc_mk_b if option_b else kd.derive_icc_mk_a
    card_key = derive(mk, pan, "45")
    branch, height = ((2, 16), (4, 8))[int(tree)]
    if scheme in "01":
        session = kd.derive_emv2000_tree_sk(card_key, atc, height, branch, iv)
    else:
        session = kd.derive_common_sk(card_key, atc + bytes(6))
    arqc = ac.generate_ac(session, data, ac.PaddingType.VISA)
    digits = f"{pan}45" if option_b else f"{pan}45"[-16:]
    packed = bytes.fromhex("0" * (len(digits) % 2) + digits).rjust(8, b"\0")
    values = {"mode": mode, "scheme": scheme, "mk_ac": host.wrap("109", KEY), "iv": iv,
              "pan_psn": packed, "tree": tree, "atc": atc, "data": data, "arqc": arqc,
              "response_code": ARC, "status_update": iv[:4], "proprietary": more}  # fmt: skip
    arpc = {
        "12": ac.generate_arpc_1(session, arqc, ARC),
        "34": ac.generate_arpc_2(session, arqc, iv[:4], more) + bytes(4),
    }

    error, fields = host.ask("KW", **values)

    assert error == "00"
    assert fields == {"arpc": arpc["12" if mode in "12" else "34"]} if mode != "0" else not fields


@pytest.mark.parametrize(("start", "error"), [(b"50", b"04"), (b"04", b"05"), (b"00", b"52")])
def test_KW_refuses(host: Any, start: bytes, error: bytes) -> None:
    """Mode 04, scheme 05, branch and height 52."""
    frame = b"0001KW" + start + MK_BLOCK + bytes(16) + PAN_PSN + b"7" + b"\x00\x01"

    assert host.raw(frame + b"08" + bytes(8) + b";" + ARQC) == b"0001KX" + error
