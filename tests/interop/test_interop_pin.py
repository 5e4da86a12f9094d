"""PIN commands: translations between formats and keys, PINs under the LMK, their errors."""

import pytest
from psec import pinblock as psec_block

from tests.interop import oracle
from tests.interop.host import Host
from tests.interop.oracle import (
    AES_128,
    AES_256,
    KEY_A,
    KEY_B,
    KEY_C,
    SINGLE,
    SINGLE_B,
    TRIPLE,
    iso4,
    lmk,
    odd,
    pin_block,
    read_pin,
    s_block,
    tdes,
)

ACCOUNT = "550000025321"
PINS = ["1234", "12345", "000000", "999999999999", "98765432"]
FORMATS = ["01", "02", "03", "05", "34", "47"]
TPK, ZPK = lmk("002", KEY_A), lmk("001", KEY_B)
BAD = bytes([KEY_A[0] ^ 1]) + KEY_A[1:]
BLOCK = tdes(KEY_A, pin_block("01", "1234", ACCOUNT)).hex().upper()


def fits(code: str, pin: str) -> bool:
    """Docutel holds six digits."""
    return code != "02" or len(pin) <= 6


@pytest.mark.parametrize("pin", ["1234", "999999999999"])
@pytest.mark.parametrize("target", FORMATS)
@pytest.mark.parametrize("source", FORMATS)
@pytest.mark.parametrize("command", ["CA", "CC"])
def test_translation(host: Host, command: str, source: str, target: str, pin: str) -> None:
    """CA, CC: the same PIN under the other key in the other format, and its length."""
    if not (fits(source, pin) and fits(target, pin)):
        pin = pin[:6]
    first = lmk("002" if command == "CA" else "001", KEY_A)
    block = tdes(KEY_A, pin_block(source, pin, ACCOUNT)).hex().upper()
    text = host.fields(f"{command}{first}{ZPK}12{block}{source}{target}{ACCOUNT}")
    assert len(text) == 20
    assert (text[:2], text[-2:]) == (f"{len(pin):02d}", target)
    clear = tdes(KEY_B, bytes.fromhex(text[2:18]), decrypt=True)
    assert read_pin(target, clear, ACCOUNT) == pin


@pytest.mark.parametrize("zpk_key", [SINGLE_B, KEY_B, odd(TRIPLE)], ids=len)
@pytest.mark.parametrize("tpk_key", [SINGLE, KEY_A, odd(bytes(reversed(TRIPLE)))], ids=len)
@pytest.mark.parametrize("command", ["CA", "CC"])
def test_translation_between_key_lengths(
    host: Host, command: str, tpk_key: bytes, zpk_key: bytes
) -> None:
    """CA, CC: single, double and triple keys on either side."""
    first = lmk("002" if command == "CA" else "001", tpk_key)
    block = tdes(tpk_key, pin_block("01", "1234", ACCOUNT)).hex().upper()
    text = host.fields(f"{command}{first}{lmk('001', zpk_key)}12{block}0101{ACCOUNT}")
    assert text == "04" + tdes(zpk_key, pin_block("01", "1234", ACCOUNT)).hex().upper() + "01"


@pytest.mark.parametrize("suffix", ["%00", "\x19trailer", "%00\x19trailer"])
@pytest.mark.parametrize("schemes", ["UU", "XU", "UX", "XX"])
def test_translation_under_every_scheme(host: Host, schemes: str, suffix: str) -> None:
    """CA: X and U keys, an explicit LMK id, a trailer."""
    tpk, zpk = lmk("002", KEY_A, schemes[0]), lmk("001", KEY_B, schemes[1])
    text = host.fields(f"CA{tpk}{zpk}12{BLOCK}0101{ACCOUNT}{suffix}")
    expected = "04" + tdes(KEY_B, pin_block("01", "1234", ACCOUNT)).hex().upper() + "01"
    assert text == expected + (suffix[suffix.index("\x19") :] if "\x19" in suffix else "")


GARBAGE = "0123456789ABCDEF"


def enciphered(clear: str) -> str:
    """A clear block in hex under the TPK."""
    return tdes(KEY_A, bytes.fromhex(clear)).hex().upper()


def iso0(field: str) -> str:
    """A clear PIN field XORed with the account, under the TPK."""
    return enciphered(oracle.xor(bytes.fromhex(field), oracle.pan_field(ACCOUNT)).hex())


REFUSALS = {
    "tpk parity": (f"CA{lmk('002', BAD)}{ZPK}12{BLOCK}0101{ACCOUNT}", "10"),
    "zpk parity": (f"CA{TPK}{lmk('001', BAD)}12{BLOCK}0101{ACCOUNT}", "11"),
    "both parities": (f"CA{lmk('002', BAD)}{lmk('001', BAD)}12{BLOCK}0101{ACCOUNT}", "10"),
    "zpk as tpk": (f"CA{lmk('001', KEY_A)}{ZPK}12{BLOCK}0101{ACCOUNT}", "10"),
    "tpk as zpk": (f"CA{TPK}{lmk('002', KEY_B)}12{BLOCK}0101{ACCOUNT}", "11"),
    "tak as tpk": (f"CA{lmk('003', KEY_A)}{ZPK}12{BLOCK}0101{ACCOUNT}", "10"),
    "parity before block": (f"CA{TPK}{lmk('001', BAD)}12{GARBAGE}0101{ACCOUNT}", "11"),
    "parity before format": (f"CA{lmk('002', BAD)}{ZPK}12{BLOCK}9901{ACCOUNT}", "10"),
    "block": (f"CA{TPK}{ZPK}12{GARBAGE}0101{ACCOUNT}", "20"),
    "account differs": (f"CA{TPK}{ZPK}12{BLOCK}0101123456789012", "20"),
    "fill": (f"CA{TPK}{ZPK}12{iso0('041234FFFFFFFF0F')}0101{ACCOUNT}", "20"),
    "control": (f"CA{TPK}{ZPK}12{iso0('141234FFFFFFFFFF')}0101{ACCOUNT}", "20"),
    "digit": (f"CA{TPK}{ZPK}12{iso0('04123AFFFFFFFFFF')}0101{ACCOUNT}", "20"),
    "iso2 control": (f"CA{TPK}{ZPK}12{enciphered('041234FFFFFFFFFF')}3401{ACCOUNT}", "20"),
    "iso3 control": (f"CA{TPK}{ZPK}12{iso0('041234FFFFFFFFFF')}4701{ACCOUNT}", "20"),
    "source format": (f"CA{TPK}{ZPK}12{BLOCK}9901{ACCOUNT}", "23"),
    "target format": (f"CA{TPK}{ZPK}12{BLOCK}0199{ACCOUNT}", "23"),
    "three digits": (f"CA{TPK}{ZPK}12{iso0('03123FFFFFFFFFFF')}0101{ACCOUNT}", "24"),
    "thirteen digits": (f"CA{TPK}{ZPK}12{iso0('0D1234567890123F')}0101{ACCOUNT}", "24"),
    "short": (f"CA{TPK}{ZPK}12{BLOCK}0101{ACCOUNT[:-1]}", "15"),
    "block of 15": (f"CA{TPK}{ZPK}12{BLOCK[:-1]}0101{ACCOUNT}", "15"),
    "block not hex": (f"CA{TPK}{ZPK}12{BLOCK[:-1]}G0101{ACCOUNT}", "15"),
    "format not digits": (f"CA{TPK}{ZPK}12{BLOCK}0X01{ACCOUNT}", "15"),
    "no data": ("CA", "15"),
    "one key": (f"CA{TPK}", "15"),
    "more data": (f"CA{TPK}{ZPK}12{BLOCK}0101{ACCOUNT}1", "15"),
    "lmk": (f"CA{TPK}{ZPK}12{BLOCK}0101{ACCOUNT}%07", "13"),
    "cc source": (f"CC{lmk('001', BAD)}{ZPK}12{BLOCK}0101{ACCOUNT}", "10"),
    "cc target": (f"CC{lmk('001', KEY_A)}{lmk('001', BAD)}12{BLOCK}0101{ACCOUNT}", "11"),
    "cc block": (f"CC{lmk('001', KEY_A)}{ZPK}12{GARBAGE}0101{ACCOUNT}", "20"),
    "cc format": (f"CC{lmk('001', KEY_A)}{ZPK}12{BLOCK}0177{ACCOUNT}", "23"),
    "jc parity": (f"JC{lmk('002', BAD)}{BLOCK}01{ACCOUNT}", "10"),
    "jc block": (f"JC{TPK}{GARBAGE}01{ACCOUNT}", "20"),
    "jc format": (f"JC{TPK}{BLOCK}98{ACCOUNT}", "23"),
    "je parity": (f"JE{lmk('001', BAD)}{BLOCK}01{ACCOUNT}", "10"),
    "je tpk": (f"JE{TPK}{BLOCK}01{ACCOUNT}", "10"),
    "jg parity": (f"JG{lmk('001', BAD)}01{ACCOUNT}00000", "11"),
    "g0 bdk": (
        f"G0{lmk('009', BAD)}{ZPK}605FFFF9876543210E000011B9C1845EB993A7A0101{ACCOUNT}",
        "10",
    ),
    "g0 zpk": (
        f"G0{lmk('009', KEY_A)}{lmk('001', BAD)}605FFFF9876543210E000011B9C1845EB993A7A"
        f"0101{ACCOUNT}",
        "11",
    ),
    "g0 account": (
        f"G0{lmk('009', KEY_A)}{ZPK}605FFFF9876543210E000011B9C1845EB993A7A0101{ACCOUNT}",
        "20",
    ),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_pin_command_refuses(host: Host, name: str) -> None:
    """Format 15, then parity 10 and 11, then format code 23, length 24, block 20 (2.9)."""
    request, error = REFUSALS[name]
    answer = host.ask(request)
    assert (answer.error, answer.text) == (error, "")


def test_account_that_is_not_digits(host: Host) -> None:
    """CA with a letter in the account: 22 or, by format first, 15."""
    answer = host.ask(f"CA{TPK}{ZPK}12{BLOCK}010155000002532A")
    assert answer.error in {"15", "22"}


@pytest.mark.parametrize("pin", PINS)
@pytest.mark.parametrize("code", FORMATS)
def test_pin_to_the_lmk_and_back(host: Host, code: str, pin: str) -> None:
    """JC and JE agree on PIN(LMK) of one digit more; JG and NG give the PIN back."""
    pin = pin if fits(code, pin) else pin[:6]
    block = tdes(KEY_A, pin_block(code, pin, ACCOUNT)).hex().upper()
    held = host.fields(f"JC{TPK}{block}{code}{ACCOUNT}")
    assert host.fields(f"JE{lmk('001', KEY_A)}{block}{code}{ACCOUNT}") == held
    assert len(held) == len(pin) + 1
    assert held.isdigit()
    back = host.fields(f"JG{ZPK}{code}{ACCOUNT}{held}")
    assert read_pin(code, tdes(KEY_B, bytes.fromhex(back), decrypt=True), ACCOUNT) == pin
    assert host.fields(f"NG{ACCOUNT}{held}").rstrip("F") == pin


@pytest.mark.parametrize("pin", PINS)
def test_clear_pin_to_the_lmk_and_back(host: Host, pin: str) -> None:
    """BA encrypts what NG decrypts; the PIN does not stand in the answer."""
    held = host.fields(f"BA{pin}F{ACCOUNT}")
    assert len(held) == len(pin) + 1
    assert host.fields(f"NG{ACCOUNT}{held}").rstrip("F") == pin
    block = host.fields(f"JG{ZPK}01{ACCOUNT}{held}")
    assert bytes.fromhex(block) == tdes(KEY_B, pin_block("01", pin, ACCOUNT))


@pytest.mark.parametrize("length", ["", "04", "06", "12"])
def test_random_pin(host: Host, length: str) -> None:
    """JA: a PIN under the LMK of the asked length (U, T), readable by NG."""
    held = host.fields(f"JA{ACCOUNT}{length}")
    digits = int(length or "4")
    assert len(held) == digits + 1
    pin = host.fields(f"NG{ACCOUNT}{held}").rstrip("F")
    assert len(pin) == digits
    assert pin.isdigit()


@pytest.mark.parametrize("counter", ["00001", "00002", "00003", "0000F", "00010", "0FFFF", "FFC00"])
@pytest.mark.parametrize("pin", ["1234", "987654"])
def test_dukpt_translation(host: Host, counter: str, pin: str) -> None:
    """G0: PIN encryption key of X9.24-1 for many counters."""
    ksn = f"FFFF9876543210E{counter}"
    key = oracle.dukpt_variant(KEY_A, ksn, "pin")
    block = tdes(key, pin_block("01", pin, ACCOUNT)).hex().upper()
    text = host.fields(f"G0{lmk('009', KEY_A)}{ZPK}605{ksn}{block}0101{ACCOUNT}")
    expected = tdes(KEY_B, pin_block("01", pin, ACCOUNT)).hex().upper()
    assert text == f"{len(pin):02d}{expected}01"


@pytest.mark.parametrize("target", FORMATS)
def test_dukpt_translation_to_every_format(host: Host, target: str) -> None:
    """G0 with descriptor A05 (U) to each format."""
    ksn = "FFFF000001315240003A"
    key = oracle.dukpt_variant(KEY_C, ksn, "pin")
    block = tdes(key, pin_block("01", "1234", ACCOUNT)).hex().upper()
    text = host.fields(f"G0{lmk('009', KEY_C)}{ZPK}A05{ksn}{block}01{target}{ACCOUNT}")
    assert (text[:2], text[-2:]) == ("04", target)
    clear = tdes(KEY_B, bytes.fromhex(text[2:18]), decrypt=True)
    assert read_pin(target, clear, ACCOUNT) == "1234"


P0_TDES = s_block(KEY_B, "P0TB00E00", "02")
P0_AES = s_block(AES_128, "P0AB00E00", "02")
P0_AES_256 = s_block(AES_256, "P0AB00E00", "02")


@pytest.mark.parametrize("pin", PINS)
@pytest.mark.parametrize("source", ["01", "47"])
@pytest.mark.parametrize(
    ("zpk", "key"), [(P0_AES, AES_128), (P0_AES_256, AES_256)], ids=["128", "256"]
)
def test_translation_to_format_4(host: Host, zpk: str, key: bytes, source: str, pin: str) -> None:
    """CC from a 3DES ZPK to code 48 under an AES ZPK: 32 digits."""
    block = tdes(KEY_B, pin_block(source, pin, ACCOUNT)).hex().upper()
    text = host.fields(f"CC{P0_TDES}{zpk}12{block}{source}48{ACCOUNT}%02")
    assert (text[:2], text[-2:], len(text)) == (f"{len(pin):02d}", "48", 36)
    assert oracle.from_iso4(key, bytes.fromhex(text[2:34]), ACCOUNT) == pin


@pytest.mark.parametrize("pin", PINS)
@pytest.mark.parametrize("target", ["01", "47"])
def test_translation_from_format_4(host: Host, target: str, pin: str) -> None:
    """CC from code 48 (32 digits) to a block of 16."""
    block = iso4(AES_128, pin, ACCOUNT).hex().upper()
    text = host.fields(f"CC{P0_AES}{P0_TDES}12{block}48{target}{ACCOUNT}%02")
    assert (text[:2], text[-2:], len(text)) == (f"{len(pin):02d}", target, 20)
    clear = tdes(KEY_B, bytes.fromhex(text[2:18]), decrypt=True)
    assert read_pin(target, clear, ACCOUNT) == pin


@pytest.mark.parametrize("pin", PINS)
def test_translation_within_format_4(host: Host, pin: str) -> None:
    """CC 48 to 48 between two AES keys; another account is 20."""
    block = iso4(AES_128, pin, ACCOUNT).hex().upper()
    text = host.fields(f"CC{P0_AES}{P0_AES_256}12{block}4848{ACCOUNT}")
    assert oracle.from_iso4(AES_256, bytes.fromhex(text[2:34]), ACCOUNT) == pin
    wrong = host.ask(f"CC{P0_AES}{P0_AES_256}12{block}4848{ACCOUNT[::-1]}")
    assert wrong.error == "20"


@pytest.mark.parametrize("pin", ["1234", "123456", "123456789012"])
def test_format_4_against_psec(host: Host, pin: str) -> None:
    """psec deciphers what CC makes with code 48, and CC reads what psec makes."""
    made = host.fields(
        f"CC{P0_AES}{P0_AES_256}12{psec_block.encipher_pinblock_iso_4(AES_128, pin, ACCOUNT).hex()}"
        f"4848{ACCOUNT}".upper()
    )
    block = bytes.fromhex(made[2:34])
    assert psec_block.decipher_pinblock_iso_4(AES_256, block, ACCOUNT) == pin
