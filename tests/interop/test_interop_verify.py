"""PIN verification: Visa PVV and IBM 3624 offset, against psec."""

import warnings

import pytest
from psec import pin as psec_pin

from tests.interop.host import Host
from tests.interop.oracle import KEY_A, KEY_B, KEY_C, SINGLE, SINGLE_B, lmk, pin_block, tdes

ACCOUNT = "400000123456"
PVK = lmk("002", KEY_C)
BAD = bytes([KEY_A[0] ^ 1]) + KEY_A[1:]
TABLE = "0123456789012345"
TABLES = [TABLE, "8351296477461538", "0123456789123456"]
VALIDATION = "4000001234N6"
PINS = ["1234", "4321", "123456", "00000000", "987654321098"]


def pvv(key: bytes, index: str, pin: str, account: str = ACCOUNT) -> str:
    """psec's PVV; it takes a PAN with a check digit."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return psec_pin.generate_visa_pvv(key, index, pin[:4], account + "0")


def offset(
    key: bytes,
    pin: str,
    length: int,
    table: str = TABLE,
    data: str = VALIDATION,
    account: str = ACCOUNT,
) -> str:
    """IBM 3624 offset of the first ``length`` digits, left-justified with F."""
    filled = data.replace("N", account[-5:])
    cipher = tdes(key, bytes.fromhex(filled)).hex().upper()
    natural = "".join(table[int(digit, 16)] for digit in cipher)
    digits = "".join(
        str((int(p) - int(n)) % 10) for p, n in zip(pin[:length], natural, strict=False)
    )
    return digits.ljust(12, "F")


def block(key: bytes, pin: str, code: str = "01") -> str:
    """An enciphered PIN block."""
    return tdes(key, pin_block(code, pin, ACCOUNT)).hex().upper()


def kept(command: str) -> tuple[str, bytes]:
    """The PIN key a command takes, and its clear value."""
    return (lmk("002", KEY_A), KEY_A) if command[0] == "D" else (lmk("001", KEY_B), KEY_B)


def test_psec_agrees_with_our_offset() -> None:
    """Our offset oracle is psec's (sixteen PAN digits, none of them variable)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = psec_pin.generate_ibm3624_offset(
            KEY_C, TABLE, "1234", "4000001234564561", 0, 16, "F"
        )
    assert offset(KEY_C, "1234", 4, data="4000001234564561")[:4] == theirs


@pytest.mark.parametrize("index", ["0", "1", "4", "6"])
@pytest.mark.parametrize("pin", PINS)
@pytest.mark.parametrize("command", ["DC", "EC"])
def test_pvv(host: Host, command: str, pin: str, index: str) -> None:
    """DC, EC: the right PVV is 00, any other 01."""
    key, clear = kept(command)
    value = pvv(KEY_C, index, pin)
    head = f"{command}{key}{PVK}{block(clear, pin)}01{ACCOUNT}{index}"
    assert host.ask(head + value).error == "00"
    wrong = f"{(int(value) + 1) % 10_000:04d}"
    assert host.ask(head + wrong).error == "01"


@pytest.mark.parametrize(
    "field", [PVK, lmk("002", KEY_C, "X"), lmk("002", KEY_C, "X")[1:]], ids=["U", "X", "untagged"]
)
@pytest.mark.parametrize("code", ["01", "03", "34", "47"])
@pytest.mark.parametrize("command", ["DC", "EC"])
def test_pvv_with_every_pair_form(host: Host, command: str, code: str, field: str) -> None:
    """The PVK pair as U, X and as 32 untagged digits; blocks of several formats."""
    key, clear = kept(command)
    value = pvv(KEY_C, "1", "1234")
    frame = f"{command}{key}{field}{block(clear, '1234', code)}{code}{ACCOUNT}1{value}"
    assert host.ask(frame).error == "00"
    assert host.ask(frame + "%00").error == "00"


@pytest.mark.parametrize("single", [True, False])
def test_pvv_with_a_single_length_pin_key(host: Host, single: bool) -> None:
    """An untagged single TPK before an untagged PVK pair is told apart."""
    clear = SINGLE if single else KEY_A
    pvk = lmk("002", KEY_C, "X")[1:]
    frame = f"DC{lmk('002', clear)}{pvk}{block(clear, '1234')}01{ACCOUNT}1{pvv(KEY_C, '1', '1234')}"
    assert host.ask(frame).error == "00"


@pytest.mark.parametrize(
    ("frame", "error"),
    [
        (f"DC{lmk('002', BAD)}{PVK}{block(KEY_A, '1234')}01{ACCOUNT}11234", "10"),
        (f"DC{lmk('002', KEY_A)}{lmk('002', BAD)}{block(KEY_A, '1234')}01{ACCOUNT}11234", "11"),
        (f"DC{lmk('002', BAD)}{lmk('002', BAD)}{block(KEY_A, '1234')}01{ACCOUNT}11234", "10"),
        (f"DC{lmk('002', KEY_A)}{PVK}0123456789ABCDEF01{ACCOUNT}11234", "20"),
        (f"DC{lmk('002', KEY_A)}{PVK}{block(KEY_A, '1234')}88{ACCOUNT}11234", "23"),
        (f"DC{lmk('002', KEY_A)}{PVK}{block(KEY_A, '1234')}01{ACCOUNT}1123", "15"),
        (f"EC{lmk('001', BAD)}{PVK}{block(KEY_B, '1234')}01{ACCOUNT}11234", "10"),
        (f"EC{lmk('001', KEY_B)}{lmk('002', BAD)}{block(KEY_B, '1234')}01{ACCOUNT}11234", "11"),
        (f"EC{lmk('002', KEY_B)}{PVK}{block(KEY_B, '1234')}01{ACCOUNT}11234", "10"),
        (
            f"DC{lmk('002', KEY_A)}{lmk('002', SINGLE_B)}{block(KEY_A, '1234')}01{ACCOUNT}11234",
            "15|27",
        ),
        (
            f"DA{lmk('002', BAD)}{PVK}12{block(KEY_A, '1234')}0104{ACCOUNT}{TABLE}{VALIDATION}"
            "1234FFFFFFFF",
            "10",
        ),
        (
            f"DA{lmk('002', KEY_A)}{lmk('002', BAD)}12{block(KEY_A, '1234')}0104{ACCOUNT}{TABLE}"
            f"{VALIDATION}1234FFFFFFFF",
            "11",
        ),
        (
            f"DA{lmk('002', KEY_A)}{PVK}12{block(KEY_A, '1234')}0104{ACCOUNT}0000000000000000"
            f"{VALIDATION}1234FFFFFFFF",
            "25",
        ),
        (f"DE{lmk('002', BAD)}0000004{ACCOUNT}{TABLE}{VALIDATION}", "10|14"),
    ],
)
def test_verification_refuses(host: Host, frame: str, error: str) -> None:
    """PIN key 10 before PVK 11 (U), block 20, format 23, short 15, table 25."""
    assert host.ask(frame).error in error.split("|")


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize(
    ("pin", "length"), [("1234", 4), ("123456", 4), ("123456", 6), ("987654321098", 12)]
)
@pytest.mark.parametrize("command", ["DA", "EA"])
def test_ibm_offset(host: Host, command: str, pin: str, length: int, table: str) -> None:
    """DA, EA: natural PIN of the validation data (N = last five account digits) plus offset."""
    key, clear = kept(command)
    good = offset(KEY_C, pin, length, table)
    head = f"{command}{key}{PVK}12{block(clear, pin)}01{length:02d}{ACCOUNT}{table}{VALIDATION}"
    assert host.ask(head + good).error == "00"
    bad = str((int(good[0]) + 1) % 10) + good[1:]
    assert host.ask(head + bad).error == "01"


@pytest.mark.parametrize("pvk_key", [SINGLE_B, KEY_C], ids=["single", "double"])
@pytest.mark.parametrize("data", ["40000012345N", "N40000012345", "4000001234N6"])
def test_ibm_offset_by_pvk_and_data(host: Host, pvk_key: bytes, data: str) -> None:
    """A single PVK works with DA (U: 02 may warn of its length); N stands anywhere."""
    good = offset(pvk_key, "1234", 4, TABLE, data)
    frame = (
        f"DA{lmk('002', KEY_A)}{lmk('002', pvk_key)}12{block(KEY_A, '1234')}0104{ACCOUNT}"
        f"{TABLE}{data}{good}"
    )
    assert host.ask(frame).error in ({"00", "02"} if len(pvk_key) == 8 else {"00"})
    assert host.ask(frame[:-12] + "9999FFFFFFFF").error == "01"


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize(("pin", "length"), [("1234", 4), ("123456", 6), ("98765", 4)])
def test_offset_of_a_pin_under_the_lmk(host: Host, pin: str, length: int, table: str) -> None:
    """DE: offset of PIN(LMK) made by JC; EE gives the PIN(LMK) back."""
    held = host.fields(f"JC{lmk('002', KEY_A)}{block(KEY_A, pin)}01{ACCOUNT}")
    answer = host.ask(f"DE{PVK}{held}{length:02d}{ACCOUNT}{table}{VALIDATION}")
    good = offset(KEY_C, pin, length, table)
    assert (answer.error, answer.text) == ("00", good)
    if len(pin) == length:
        back = host.ask(f"EE{PVK}{good}{length:02d}{ACCOUNT}{table}{VALIDATION}")
        assert (back.error, back.text) == ("00", held)


@pytest.mark.parametrize("index", ["1", "3"])
@pytest.mark.parametrize("pin", ["1234", "5678", "123456"])
def test_pvv_of_a_pin(host: Host, pin: str, index: str) -> None:
    """DG from PIN(LMK), FW from a block: psec's PVV."""
    held = host.fields(f"JC{lmk('002', KEY_A)}{block(KEY_A, pin)}01{ACCOUNT}")
    value = pvv(KEY_C, index, pin)
    assert host.fields(f"DG{PVK}{held}{ACCOUNT}{index}") == value
    frame = f"{PVK}{block(KEY_A, pin)}01{ACCOUNT}{index}"
    assert host.fields(f"FW002{lmk('002', KEY_A)}{frame}") == value
    assert host.fields(f"FW001{lmk('001', KEY_A)}{frame}") == value


def test_pin_change(host: Host) -> None:
    """CU: the old PIN verifies by its PVV and the new one gets its own (U, T layout)."""
    frame = (
        f"CU001{lmk('001', KEY_B)}{PVK}{block(KEY_B, '1234')}01{ACCOUNT}1"
        f"{pvv(KEY_C, '1', '1234')}{block(KEY_B, '4321')}"
    )
    assert host.fields(frame) == pvv(KEY_C, "1", "4321")
