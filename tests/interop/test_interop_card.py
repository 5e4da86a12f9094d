"""Card and EMV commands: CW, CY against psec; KQ, KW against pyemv."""

import warnings

import pytest
from psec import cvv as psec_cvv
from pyemv import ac, kd

from tests.interop.host import Host
from tests.interop.oracle import KEY_A, KEY_B, KEY_C, SINGLE, lmk, odd, s_block

BAD = bytes([KEY_A[0] ^ 1]) + KEY_A[1:]
PANS = [
    "4123456789012345",
    "4999988887777",
    "6217001234567890123",
    "502265400089000092",
    "370000000000002",
]
DATES = [("8701", "101"), ("2512", "000"), ("3001", "999"), ("0001", "201")]
MK = odd(bytes.fromhex("9E15204313F7318ACB79B90BD986AD29"))
PAN, PSN = "4761739001010119", "01"
ATC, UN = bytes.fromhex("0018"), bytes.fromhex("84F01F9D")
DATAS = [bytes(range(40)), b"\x01" * 29, bytes.fromhex("00" * 12 + "0840" * 14), bytes(8)]


def cvv_of(key: bytes, pan: str, expiry: str, code: str) -> str:
    """psec's CVV."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return psec_cvv.generate_cvv(key, pan, expiry, code)


@pytest.mark.parametrize("pan", PANS)
@pytest.mark.parametrize(("expiry", "code"), DATES)
@pytest.mark.parametrize(
    "field",
    [
        lmk("402", KEY_A),
        lmk("402", KEY_A, "X"),
        lmk("402", KEY_A, "X")[1:],
        s_block(KEY_A, "C0TN00E00", "01"),
        s_block(KEY_A, "C0TN00E00", "02"),
    ],
    ids=["U", "X", "untagged", "S0", "S1"],
)
def test_cvv(host: Host, field: str, expiry: str, code: str, pan: str) -> None:
    """CW makes psec's CVV; CY accepts it and refuses another with 01."""
    value = cvv_of(KEY_A, pan, expiry, code)
    assert host.fields(f"CW{field}{pan};{expiry}{code}") == value
    assert host.ask(f"CY{field}{value}{pan};{expiry}{code}").error == "00"
    other = f"{(int(value) + 1) % 1000:03d}"
    assert host.ask(f"CY{field}{other}{pan};{expiry}{code}").error == "01"


@pytest.mark.parametrize(
    ("request_", "error"),
    [
        (f"CW{lmk('402', BAD)}4123456789012345;8701101", "10"),
        (f"CW{lmk('002', KEY_A)}4123456789012345;8701101", "10"),
        (f"CW{lmk('402', KEY_A)}4123456789012345;870110", "15"),
        (f"CW{lmk('402', KEY_A)}41234567890123AB;8701101", "15"),
        (f"CW{lmk('402', KEY_A)}41234567890123458701101", "15"),
        (f"CY{lmk('402', BAD)}1234123456789012345;8701101", "10"),
        (f"CY{lmk('402', KEY_A)}12X4123456789012345;8701101", "15"),
        (f"CW{s_block(KEY_A, 'P0TN00E00', '01')}4123456789012345;8701101", "A6"),
        (f"CW{s_block(KEY_A, 'C0TV00E00', '01')}4123456789012345;8701101", "A8"),
        (f"CY{s_block(KEY_A, 'C0TG00E00', '01')}1234123456789012345;8701101", "A8"),
    ],
)
def test_cvv_refuses(host: Host, request_: str, error: str) -> None:
    """Parity or type 10, format 15, block usage A6, block mode A8."""
    assert host.ask(request_).error == error


def pan_psn(pan: str = PAN, psn: str = PSN) -> bytes:
    """The rightmost sixteen digits of PAN and sequence number."""
    return bytes.fromhex((pan + psn)[-16:])


def head(key: str, mode: str, scheme: str) -> bytes:
    """A KQ request up to the data."""
    return f"KQ{mode}{scheme}{key}".encode() + pan_psn() + ATC + UN


def session(scheme: str) -> bytes:
    """The key a card uses: Visa VSDC the card key, M/Chip a session key of ATC and number."""
    card = kd.derive_icc_mk_a(MK, PAN, PSN)
    return card if scheme == "0" else kd.derive_common_sk(card, ATC + bytes(2) + UN)


def with_length(data: bytes) -> bytes:
    """Two hex digits of length, the data, the delimiter."""
    return b"%02X" % len(data) + data + b";"


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("scheme", "01")
@pytest.mark.parametrize("data", DATAS, ids=len)
@pytest.mark.parametrize(
    "key",
    [lmk("109", MK), s_block(MK, "E0TN00S00", "01"), s_block(MK, "E0TN00S00", "02")],
    ids=["U", "S0", "S1"],
)
def test_kq(host: Host, key: str, data: bytes, scheme: str) -> None:
    """KQ modes 0, 1, 2 (binary body): ARQC checked, ARPC method 1 made."""
    secret = session(scheme)
    padding = ac.PaddingType.VISA if scheme == "0" else ac.PaddingType.EMV
    arqc = ac.generate_ac(secret, data, padding)
    card = kd.derive_icc_mk_a(MK, PAN, PSN)
    arpc = ac.generate_arpc_1(card, arqc, b"00")
    body = with_length(data)
    if scheme == "1":  # M/Chip data arrive with their 80 00 … already on
        body = with_length(data + b"\x80" + bytes(-(len(data) + 1) % 8))
    assert host.ask(head(key, "0", scheme) + body + arqc).error == "00"
    answer = host.ask(head(key, "1", scheme) + body + arqc + b"00")
    assert (answer.error, answer.rest) == ("00", arpc)
    answer = host.ask(head(key, "2", scheme) + arqc + b"00")
    assert (answer.error, answer.rest) == ("00", arpc)
    refused = host.ask(head(key, "1", scheme) + body + bytes(8) + b"00")
    assert refused.error == "01"
    assert refused.rest in {b"", arqc}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("data", [DATAS[0], DATAS[2]], ids=len)
@pytest.mark.parametrize("key", [lmk("109", MK), s_block(MK, "E0TN00S00", "01")], ids=["U", "S0"])
def test_kw_common_session_key(host: Host, key: str, data: bytes) -> None:
    """KW scheme 2 (U): EMV common session key of the ATC, card key by option A."""
    card = kd.derive_icc_mk_a(MK, PAN, PSN)
    secret = kd.derive_common_sk(card, ATC + bytes(6))
    padded = data + b"\x80" + bytes(-(len(data) + 1) % 8)
    arqc = ac.generate_ac(secret, data, ac.PaddingType.EMV)
    start = f"KW02{key}".encode() + pan_psn() + ATC
    assert host.ask(start + with_length(padded) + arqc).error == "00"
    assert host.ask(start + with_length(padded) + bytes(8)).error == "01"
    arpc = ac.generate_arpc_1(secret, arqc, b"00")
    answer = host.ask(b"KW1" + start[3:] + with_length(padded) + arqc + b"00")
    assert (answer.error, answer.rest) == ("00", arpc)
    answer = host.ask(b"KW2" + start[3:] + arqc + b"00")
    assert (answer.error, answer.rest) == ("00", arpc)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("extra", [b"", bytes.fromhex("8080040000")], ids=len)
def test_kw_arpc_method_2(host: Host, extra: bytes) -> None:
    """KW mode 4 (U): ARPC method 2 of CSU and proprietary data (length 1N), eight bytes."""
    card = kd.derive_icc_mk_a(MK, PAN, PSN)
    secret = kd.derive_common_sk(card, ATC + bytes(6))
    arqc = bytes.fromhex("DDA6BCC881C093AD")
    csu = bytes.fromhex("03800000")
    frame = f"KW42{lmk('109', MK)}".encode() + pan_psn() + ATC + arqc + csu
    answer = host.ask(frame + b"%d" % len(extra) + extra)
    assert answer.error == "00"
    assert answer.rest[:4] == ac.generate_arpc_2(secret, arqc, csu, extra)[:4]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("atc", ["0001", "0018", "00FF", "1234"])
def test_kw_tree(host: Host, atc: str) -> None:
    """KW scheme 0: EMV2000 tree with b = 4, h = 8 (parameter 1) from an IV of zeros."""
    card = kd.derive_icc_mk_a(MK, PAN, PSN)
    number = bytes.fromhex(atc)
    secret = kd.derive_emv2000_tree_sk(card, number, 8, 4, bytes(16))
    data = DATAS[0]
    arqc = ac.generate_ac(secret, data, ac.PaddingType.EMV)
    padded = data + b"\x80" + bytes(7)
    frame = f"KW00{lmk('109', MK)}".encode() + bytes(16) + pan_psn() + b"1" + number
    with_delimiter = f"KW00{lmk('109', MK)}".encode() + bytes(16) + pan_psn() + b";1" + number
    errors = {
        host.ask(start + with_length(padded) + arqc).error for start in (frame, with_delimiter)
    }
    assert "00" in errors


@pytest.mark.parametrize(
    ("frame", "error"),
    [
        (head(lmk("109", BAD), "0", "0") + with_length(bytes(8)) + bytes(8), "10"),
        (head(lmk("009", KEY_A), "0", "0") + with_length(bytes(8)) + bytes(8), "10"),
        (head(lmk("109", KEY_B), "9", "0") + with_length(bytes(8)) + bytes(8), "04|15"),
        (head(lmk("109", KEY_B), "0", "9") + with_length(bytes(8)) + bytes(8), "05|15"),
        (head(lmk("109", KEY_B), "0", "0") + b"08" + bytes(4), "15|80"),
        (
            head(s_block(KEY_C, "P0TN00E00", "01"), "0", "0") + with_length(bytes(8)) + bytes(8),
            "A6",
        ),
    ],
    ids=["parity", "type", "mode", "scheme", "short", "usage"],
)
def test_kq_refuses(host: Host, frame: bytes, error: str) -> None:
    """U: MK-AC parity 10, mode 04, scheme 05 (or 15), block usage A6."""
    assert host.ask(frame).error in error.split("|")


def test_single_length_cvk_pair_is_one_field(host: Host) -> None:
    """A CVK given as A and B halves (32 untagged digits) equals the double key."""
    pair = lmk("402", KEY_A, "X")[1:]
    assert host.fields(f"CW{pair}4123456789012345;8701101") == cvv_of(
        KEY_A, "4123456789012345", "8701", "101"
    )
    assert KEY_A[:8] == SINGLE
