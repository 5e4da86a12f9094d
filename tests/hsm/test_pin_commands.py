"""PIN commands: published answers, refusals and their order, what PCI PIN forbids."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import psec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hsm import primitives
from hsm.block_header import Attributes
from hsm.commands import Judge, Service
from hsm.errors import CommandError
from hsm.keys import Cryptogram
from hsm.lmk import NewKey, published_test_lmk
from hsm.pin_under_lmk import open_pin, seal_pin
from hsm.policy import Policy, open_policy
from hsm.primitives import PIN_FORMS, PinAccount
from hsm.processor import Processor
from hsm.profile import Profile
from hsm.slots import Slots

KEY, OTHER = "0123456789ABCDEFFEDCBA9876543210", "1023456789ABCDEFFEDCBA9876543201"
AES_KEY = "C1D0F8FB4958670DBA40AB1F3752EF0DC1D0F8FB4958670DBA40AB1F3752EF0D"
ACCOUNT, PIN = "123456789012", "135790"
TABLE = "0123456789012345"
FLIPPED = "U163A0E7C0F2124E56192A4510F395ED7"
"""A cryptogram that opens to bad parity under every type."""

# Keys under the published key-block test LMK, and what a device with it answered (published with
# ut-codec-payshield's tests). The decimalisation table is under that LMK as well.
TPK = "S0007271TN00E00019BAD23B0CEF79E33328CA0568A0E186FC17E8DE738AAF9FB67C6E1FF"
ZPK = "S00072P0TB00E0001EA421618B34F5FA1A77F7CF6480111B97CF0FAE7BD77D589EC921EF9"
ZPK_2 = "S00072P0TB00E00010D869FE84C1F77AE64E0019151533363D4CCE7E1C3F89F3D86115EE8"
BDK = "S00072B0TN00E0001566678078B5337915F4860C92F3FF2D6A6B11E8786F22DC8032EB758"
BDK_2 = "S00072B0TN00E0001134E8D68D46BC8356F84F598155A1B5C44199D9847A2A58B64BE091F"
PVK_IBM = "S00072V1TN00E00010AE0AD2B1990AB407FAD15059E287760A05DF4DA2391EAB138877E22"
PVK_IBM_2 = "S00072V1TN00E00019412BA0AB9D9377261D2CDDB1C4A063ABF35B4CB9E98F7948A501DA2"
PVK_PVV = "S00072V2TN00E0001E80A2926443C3AF11BF0317C669FA0EA0E100ABDF92BF7A3AF232D4C"
PVK_PVV_2 = "S00072V2TN00E00014C0328F82856C4E6D7CCF7A9A1597CB0662C35A18CC72EB9CF97917C"
SEALED_TABLE = "709F26B22464E96A"
KSN = "A05FFFF000001315240003A"

# Keys under the variant test LMK and what the simulator of thalessimulatorlibrary answers.
TPK_8, ZPK_8 = "0406FBB23A5214DF", "BAB32D775A38E4AB"
TPK_16, ZPK_16 = "U8463435FC4B4DAA0C49025272C29B12C", "U1EF828AA8F6B80EB83E19FBC373F3A85"
BDK_16 = "U8E3D3E2FD5919657F05A1AA90D32A014"

HostMaker = Callable[[Policy], Any]


@pytest.fixture
def free(make_host: HostMaker) -> Any:
    """A host that may do everything."""
    return make_host(open_policy())


def say(host: Any, text: str) -> str:
    """The answer to a command typed as text: error code and fields."""
    answer: bytes = host.raw(b"0001" + text.encode())
    assert answer[:4] == b"0001"
    return answer[6:].decode()


# ---- known answers ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("request_text", "answer"),
    [
        (f"CC{ZPK_8}{ZPK_16}12F7808F2CBEC631680303550000025321", "000482206CCD872229C203"),
        (f"CC{ZPK_8}{ZPK_16}12F7808F2CBEC631680301550000025321", "000491DDDA0A7C12CFAA01"),
        (f"CA{TPK_8}{ZPK_8}12DC80B186C30902B00303550000025321", "0004F7808F2CBEC6316803"),
        (f"CA{TPK_8}{ZPK_8}12DC80B186C30902B00301550000025321", "0004E98FFDA17099AF5501"),
        (f"CA{TPK_8}{ZPK_8}12AE7A708F877571A90101550000025321", "0004E98FFDA17099AF5501"),
        (f"CA{TPK_16}{ZPK_16}126428EB94035AF53B0101550000025321", "000491DDDA0A7C12CFAA01"),
        (f"CA{TPK_16}{ZPK_16}126428EB94035AF53B0103550000025321", "000482206CCD872229C203"),
        (
            f"CK{BDK_16}56C1DC7F3A899043605FFFF9876543210E000011B9C1845EB993A7A04401234567890"
            "01234567890123450004012345N99252FFFFFFFF",
            "00",
        ),
        (f"DC{TPK}{PVK_PVV_2}E57BC634D47179070160000000000012194%01", "00"),
        (f"DC{TPK}{PVK_PVV_2}E57BC634D47179070160000000000012195%01", "01"),
        (f"EC{ZPK}{PVK_PVV}AD72F973446E84E70185010309393617548%01", "00"),
        (f"EC{ZPK}{PVK_PVV}AD72F973446E84E701850103093936;85010309393617548%01", "00"),
        (f"EC{ZPK}{PVK_PVV}AD72F973446E84E701850103093936;85010309393717548%01", "22"),
        (f"FWFFF{ZPK}{PVK_PVV}AD72F973446E84E7018501030939361%01", "007548"),
        (
            f"DA{TPK}{PVK_IBM_2}12E5B0C1445E4C57AF0106600000000000{SEALED_TABLE}"
            "1234560000N0093636FFFFFF%01",
            "00",
        ),
        (
            f"EA{ZPK}{PVK_IBM}12967CDB6E3D492E280106850103093936{SEALED_TABLE}"
            "50103093936N309783FFFFFF%01",
            "00",
        ),
        (
            f"BKFFF{ZPK}{PVK_IBM}967CDB6E3D492E280106850103093936{SEALED_TABLE}50103093936N%01",
            "00309783FFFFFF",
        ),
        (
            f"DUFFF{ZPK}{PVK_IBM}967CDB6E3D492E280106850103093936{SEALED_TABLE}50103093936N"
            "309783FFFFFF967CDB6E3D492E28%01",
            "00309783FFFFFF",
        ),
        (
            f"GO0{BDK}{PVK_IBM}{KSN}741311DA9D5D6C320106600000000000{SEALED_TABLE}"
            "0000000000N0035965FFFFFF%01",
            "00",
        ),
        (
            f"CA{TPK}{BDK}{KSN}12E57BC634D47179070101600000000000%01",
            "0006741311DA9D5D6C3201",
        ),
    ],
)
def test_published_requests(free: Any, request_text: str, answer: str) -> None:
    """Byte for byte, keys and blocks as published."""
    assert say(free, request_text) == answer


@pytest.mark.parametrize("lmk", ["%01", ""])
def test_a_published_block_moves_on(free: Any, lmk: str) -> None:
    """G0 and CC with published keys: the target block holds the same PIN; the LMK is the keys'
    own when none is named."""
    account = "600000000000"
    moved = say(free, f"G0{BDK}{ZPK}{KSN}741311DA9D5D6C320101{account}{lmk}")
    assert moved[:4] == "0006"
    again = say(free, f"CC{ZPK}{ZPK_2}12{moved[4:20]}0147{account}{lmk}")
    back = say(free, f"CC{ZPK_2}{ZPK}12{again[4:20]}4701{account}{lmk}")
    assert back == moved
    dukpt = say(free, f"G0{BDK}{BDK_2}{KSN}{KSN}741311DA9D5D6C320101{account}{lmk}")
    other = say(free, f"G0{BDK_2}{ZPK}{KSN}{dukpt[4:20]}0101{account}{lmk}")
    assert other == moved


def test_dukpt_of_the_standard(free: Any) -> None:
    """The first payment of X9.24's device ends as the same block under the ZPK."""
    zpk = free.wrap("001", KEY)
    _, moved = free.ask(
        "G0", bdk=BDK_16, zpk=zpk, ksn_descriptor="605", ksn="FFFF9876543210E00001",
        pin_block="1B9C1845EB993A7A", source_format="01", target_format="01",
        account="401234567890",
    )  # fmt: skip
    clear = primitives.pin_block_0("1234", "401234567890")

    assert moved["translated"] == sealed(KEY, clear)


def test_verify_and_change_a_pvv(free: Any) -> None:
    """CU makes the PVV that FW makes of the new PIN, and 01 when the old one is wrong."""
    pvk, zpk = free.wrap("002", OTHER), free.wrap("001", KEY)
    common = {"key_type": "001", "key": zpk, "pvk": pvk, "format": "01", "account": ACCOUNT}
    common |= {"pvk_index": "1"}
    old, new = (sealed(KEY, primitives.pin_block_0(pin, ACCOUNT)) for pin in (PIN, "24680"))
    _, made = free.ask("FW", **common, pin_block=old)
    _, wanted = free.ask("FW", **common, pin_block=new)
    changed = {"pin_block": old, "new_pin_block": new, "pvv": made["new_pvv"]}

    assert free.ask("CU", **common, **changed) == ("00", wanted)
    wrong = "9999" if made["new_pvv"] != "9999" else "0000"
    assert free.ask("CU", **common, **(changed | {"pvv": wrong})) == ("01", {})


# ---- helpers ------------------------------------------------------------------------------------


def sealed(key: str, clear: bytes) -> str:
    """A clear block under a triple-DES key, as hex."""
    return primitives.ecb_encrypt(bytes.fromhex(key), clear).hex().upper()


def block_under(key: str, code: str = "iso-0", pin: str = PIN, account: str = ACCOUNT) -> str:
    """A PIN block by form name."""
    form = PIN_FORMS[code]
    made = form.seal(bytes.fromhex(key), pin, PinAccount(account, account, account), bytes)
    return made.hex().upper()


def block_key(host: Any, usage: str, algorithm: str, mode: str, clear: str) -> str:
    """A key block under the AES key-block LMK."""
    attributes = Attributes(usage, algorithm, mode, "00", "N", ())
    lmk = host.lmks["02"]
    return str(lmk.keep(NewKey("FFF", "S", attributes), bytes.fromhex(clear), host.entropy))


def pvv_request(host: Any, **changed: Any) -> dict[str, Any]:
    """DC of PIN 135790 with its right PVV."""
    pvv = primitives.pvv(bytes.fromhex(OTHER), ACCOUNT, "1", PIN)
    values = {
        "tpk": host.wrap("002", KEY), "pvk": host.wrap("002", OTHER), "format": "01",
        "pin_block": block_under(KEY), "account": ACCOUNT, "pvk_index": "1", "pvv": pvv,
    }  # fmt: skip
    return values | changed


def offset_request(host: Any, pin: str = PIN, length: int = 6, **changed: Any) -> dict[str, Any]:
    """DA of a PIN with its right offset."""
    natural = primitives.natural_pin(bytes.fromhex(OTHER), TABLE, expanded())
    offset = primitives.subtract_digits(pin[:length], natural).ljust(12, "F")
    values = {
        "tpk": host.wrap("002", KEY), "pvk": host.wrap("002", OTHER), "pin_length_max": "12",
        "pin_block": block_under(KEY, pin=pin), "format": "01", "check_length": f"{length:02d}",
        "account": ACCOUNT, "table": TABLE, "validation_data": "1234567890N2", "offset": offset,
    }  # fmt: skip
    return values | changed


def expanded() -> str:
    """Validation data ``1234567890N2`` with the account's last five digits in the place of N."""
    return f"1234567890{ACCOUNT[-5:]}2"


# ---- translation --------------------------------------------------------------------------------

DES_CODES = ("01", "02", "03", "04", "05", "34", "47", "90")


@pytest.mark.parametrize("target", DES_CODES)
@pytest.mark.parametrize("source", DES_CODES)
def test_there_and_back(free: Any, source: str, target: str) -> None:
    """From any format of eight bytes to any other and back: the PIN is the same."""
    names = free.processor.service.policy.profile.pin_codes
    tpk, zpk = free.wrap("002", KEY), free.wrap("001", OTHER)
    formats = {"source_format": source, "target_format": target}
    there = free.ask(
        "CA", tpk=tpk, zpk=zpk, pin_length_max="12", account=ACCOUNT,
        pin_block=block_under(KEY, names[source]), **formats,
    )  # fmt: skip
    assert (there[0], there[1]["pin_length"], there[1]["format"]) == ("00", "06", target)
    back = free.ask(
        "CC", source_zpk=zpk, zpk=zpk, pin_length_max="12", account=ACCOUNT,
        pin_block=there[1]["translated"], source_format=target, target_format="01",
    )  # fmt: skip
    assert back[1]["translated"] == block_under(OTHER)


@pytest.mark.parametrize("account", [ACCOUNT, "6200001234567890128", "62000012345678901"])
def test_format_4_is_what_psec_reads(free: Any, account: str) -> None:
    """01 to 48 under an AES key block, over 12 digits or the whole card number, and back."""
    twelve = account if len(account) == 12 else primitives.account12(account)
    tpk = block_key(free, "71", "T2", "D", KEY)
    zpk = block_key(free, "72", "A3", "B", AES_KEY)
    error, there = free.ask(
        "CA", tpk=tpk, zpk=zpk, pin_length_max="12", source_format="01", target_format="48",
        pin_block=block_under(KEY, account=twelve), account=account,
    )  # fmt: skip
    block = bytes.fromhex(there["translated"])

    assert (error, len(block)) == ("00", 16)
    assert psec.pinblock.decipher_pinblock_iso_4(bytes.fromhex(AES_KEY), block, account) == PIN
    target = block_key(free, "72", "T2", "B", OTHER)
    _, back = free.ask(
        "CC", source_zpk=zpk, zpk=target, pin_length_max="12", source_format="48",
        target_format="01", pin_block=there["translated"], account=account,
    )  # fmt: skip
    assert back["translated"] == block_under(OTHER, account=twelve)


def test_a_long_account_may_end_with_a_semicolon(free: Any) -> None:
    """Format 48: the card number before ``;`` or before the end is the same request."""
    zpk = block_key(free, "72", "A3", "B", AES_KEY)
    pan = "6200001234567890128"
    block = psec.pinblock.encipher_pinblock_iso_4(bytes.fromhex(AES_KEY), PIN, pan).hex()
    texts = [f"JE{zpk}{block}48{pan}{end}" for end in ("", ";", "%02", ";%02", "\x19tail")]
    answers = {say(free, text).removesuffix("\x19tail") for text in texts}

    assert len(answers) == 1
    assert answers.pop()[:2] == "00"


def test_plus_takes_the_left_of_the_account(free: Any) -> None:
    """Format 04 with 18 characters: the leftmost 12 digits; 01 takes the rightmost 12."""
    tpk, zpk = free.wrap("002", KEY), free.wrap("001", OTHER)
    block = block_under(KEY, account="620000123456")
    _, moved = free.ask(
        "CA", tpk=tpk, zpk=zpk, pin_length_max="12", source_format="04", target_format="01",
        pin_block=block, account="FF6200001234567890",
    )  # fmt: skip

    assert moved["translated"] == block_under(OTHER, account="001234567890")
    short = f"CA{tpk}{zpk}12{block}0401FFFFFFFF6200001234"
    assert say(free, short) == "22"


@pytest.mark.parametrize(("code", "name"), [("91", "sm4"), ("92", "sm4-padded")])
def test_sm4_blocks(free: Any, code: str, name: str) -> None:
    """Under an SM4 key block: there and back, 32 characters."""
    tpk = block_key(free, "71", "T2", "D", KEY)
    sm4 = block_key(free, "72", "41", "B", OTHER)
    error, there = free.ask(
        "CA", tpk=tpk, zpk=sm4, pin_length_max="12", source_format="01", target_format=code,
        pin_block=block_under(KEY), account=ACCOUNT,
    )  # fmt: skip
    assert (error, there["translated"]) == ("00", block_under(OTHER, name))
    target = block_key(free, "72", "T2", "B", KEY)
    _, back = free.ask(
        "CC", source_zpk=sm4, zpk=target, pin_length_max="12", source_format=code,
        target_format="01", pin_block=there["translated"], account=ACCOUNT,
    )  # fmt: skip
    assert back["translated"] == block_under(KEY)


@pytest.mark.parametrize("code", ["90", "91", "92", "05", "02", "03", "04", "34"])
def test_what_pci_does_not_name_is_off(host: Any, code: str) -> None:
    """Everything but ISO 0, 3 and 4 answers 69, in every command that takes a format."""
    tpk, zpk, pvk = (host.wrap(kind, KEY) for kind in ("002", "001", "002"))
    block = block_under(KEY)
    kept = seal_pin(host.lmk.pin_key, PIN, ACCOUNT)
    assert say(host, f"CA{tpk}{zpk}12{block}{code}01{ACCOUNT}") == "69"
    assert say(host, f"CA{tpk}{zpk}12{block}01{code}{ACCOUNT}") == "69"
    assert say(host, f"CC{zpk}{zpk}12{block}01{code}{ACCOUNT}") == "69"
    assert say(host, f"JC{tpk}{block}{code}{ACCOUNT}") == "69"
    assert say(host, f"JE{zpk}{block}{code}{ACCOUNT}") == "69"
    assert say(host, f"JG{zpk}{code}{ACCOUNT}{kept}") == "69"
    assert say(host, f"DC{tpk}{pvk}{block}{code}{ACCOUNT}11234") == "69"


@pytest.mark.parametrize(
    ("source", "target", "error"),
    [("01", "01", "00"), ("01", "47", "00"), ("47", "01", "69"), ("47", "47", "69"),
     ("01", "99", "23"), ("99", "01", "23"), ("01", "48", "23")],
)  # fmt: skip
def test_pairs_that_pci_allows(host: Any, source: str, target: str, error: str) -> None:
    """The strict policy's pairs; a triple-DES key carries no format 4 (23)."""
    form = "iso-3" if source == "47" else "iso-0"
    answer = host.ask(
        "CA", tpk=host.wrap("002", KEY), zpk=host.wrap("001", OTHER), pin_length_max="12",
        pin_block=block_under(KEY, form), source_format=source, target_format=target,
        account=ACCOUNT,
    )  # fmt: skip

    assert answer[0] == error


def test_the_account_never_changes(free: Any) -> None:
    """G0 with another target account is 22; with the same it is done."""
    zpk = free.wrap("001", KEY)
    text = f"G0{BDK_16}{zpk}605FFFF9876543210E000011B9C1845EB993A7A0101401234567890"

    assert say(free, f"{text};401234567890")[:2] == "00"
    assert say(free, f"{text};401234567891") == "22"


def test_dukpt_takes_a_double_length_bdk(free: Any) -> None:
    """A triple-length one is 27, a wrong one 10, as target 11."""
    zpk, long = free.wrap("001", KEY), free.wrap("009", KEY + OTHER[:16])
    rest = "605FFFF9876543210E00001"
    block = "1B9C1845EB993A7A0101401234567890"

    assert say(free, f"G0{long}{zpk}{rest}{block}") == "27"
    assert say(free, f"G0{FLIPPED}{zpk}{rest}{block}") == "10"
    assert say(free, f"G0{BDK_16}*{FLIPPED}{rest}{rest}{block}") == "11"
    assert say(free, f"G0{BDK_16}*{BDK_16}{rest}{rest}{block}") == "00041B9C1845EB993A7A01"


def test_keys_by_their_algorithm(free: Any) -> None:
    """An AES key carries format 4 only, and the other way: A7 for key blocks."""
    aes, des = block_key(free, "72", "A3", "B", AES_KEY), block_key(free, "72", "T2", "B", KEY)
    wide, narrow = block_under(AES_KEY, "iso-4"), block_under(KEY)

    assert say(free, f"CC{aes}{des}12{wide}0101{ACCOUNT}") == "A7"
    assert say(free, f"CC{des}{des}12{narrow}4801{ACCOUNT}") == "A7"
    assert say(free, f"CC{des}{aes}12{narrow}0101{ACCOUNT}") == "A7"
    assert say(free, f"CC{aes}{des}12{wide}4801{ACCOUNT}")[:4] == "0006"


@pytest.mark.parametrize("usage", ["M3", "K0", "B0", "V2", "D0", "C0"])
def test_row_6_other_keys_open_no_pin_block(free: Any, usage: str) -> None:
    """A6 for a key block of another usage."""
    wrong = block_key(free, usage, "T2", "N", KEY)
    zpk = block_key(free, "72", "T2", "B", KEY)

    assert say(free, f"CC{wrong}{zpk}12{block_under(KEY)}0101{ACCOUNT}") == "A6"
    assert say(free, f"JE{wrong}{block_under(KEY)}01{ACCOUNT}") == "A6"


def test_a_key_that_only_encrypts_opens_nothing(free: Any) -> None:
    """A8: the mode of use of the key block."""
    one_way = block_key(free, "72", "T2", "E", KEY)
    zpk = block_key(free, "72", "T2", "B", KEY)

    assert say(free, f"CC{one_way}{zpk}12{block_under(KEY)}0101{ACCOUNT}") == "A8"
    assert say(free, f"CC{zpk}{one_way}12{block_under(KEY)}0101{ACCOUNT}")[:2] == "00"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(bit=st.integers(0, 127), where=st.sampled_from(["tpk", "zpk", "pin_block"]))
def test_one_flipped_bit_never_gives_the_same_block(free: Any, bit: int, where: str) -> None:
    """In a key's cryptogram or in the block: an error, or another PIN."""
    values = {
        "tpk": str(free.wrap("002", KEY)), "zpk": str(free.wrap("001", OTHER)),
        "pin_length_max": "12", "pin_block": block_under(KEY), "source_format": "01",
        "target_format": "01", "account": ACCOUNT,
    }  # fmt: skip
    text = values[where]
    tag, body = (text[0], text[1:]) if where != "pin_block" else ("", text)
    number = int(body, 16) ^ 1 << bit % (4 * len(body))
    values[where] = f"{tag}{number:0{len(body)}X}"
    error, moved = free.ask("CA", **values)

    assert error != "00" or moved["translated"] != block_under(OTHER)


# ---- PINs under the LMK -------------------------------------------------------------------------


@pytest.mark.parametrize("pin", ["1234", "135790", "000000000000"])
def test_a_kept_pin_comes_back(free: Any, pin: str) -> None:
    """JC, JE to JG: one digit longer than the PIN, not the PIN, and bound to its account."""
    tpk, zpk = free.wrap("002", KEY), free.wrap("001", OTHER)
    _, kept = free.ask(
        "JC", tpk=tpk, pin_block=block_under(KEY, pin=pin), format="01", account=ACCOUNT
    )
    _, same = free.ask(
        "JE", zpk=zpk, pin_block=block_under(OTHER, "iso-3", pin), format="47", account=ACCOUNT
    )
    _, back = free.ask("JG", zpk=zpk, format="01", account=ACCOUNT, pin=kept["pin"])

    assert kept == same
    assert len(kept["pin"]) == len(pin) + 1
    assert kept["pin"] not in (f"0{pin}", f"{pin}0")
    assert back["pin_block"] == block_under(OTHER, pin=pin)


def test_a_delimiter_before_the_kept_pin_is_taken(free: Any) -> None:
    """JG with ``;``, an LMK id and a trailer."""
    zpk = free.wrap("001", OTHER)
    kept = seal_pin(free.lmk.pin_key, PIN, ACCOUNT)
    answers = {
        say(free, f"JG{zpk}01{ACCOUNT}{between}{kept}{end}")
        for between in ("", ";") for end in ("", "%00")
    }  # fmt: skip

    assert answers == {f"00{block_under(OTHER)}"}


@pytest.mark.parametrize("pin", ["1234", "135790", "123456789012"])
def test_test_houses_see_clear_pins(free: Any, pin: str) -> None:
    """BA takes F or a leading 0, NG gives F: the same kept PIN; a longer field stays as long."""
    _, filled = free.ask("BA", clear_pin=f"{pin}F", account=ACCOUNT)
    _, led = free.ask("BA", clear_pin=f"0{pin}", account=ACCOUNT)
    _, clear = free.ask("NG", account=ACCOUNT, pin=filled["pin"])

    assert filled == led
    assert clear == {"clear_pin": f"{pin}F"}
    wide = pin.ljust(13, "F")
    _, kept = free.ask("BA", clear_pin=wide, account=ACCOUNT)
    assert len(kept["pin"]) == 13
    assert free.ask("NG", account=ACCOUNT, pin=kept["pin"])[1] == {"clear_pin": wide}
    zpk = free.wrap("001", KEY)
    _, back = free.ask("JG", zpk=zpk, format="01", account=ACCOUNT, pin=kept["pin"])
    assert back["pin_block"] == block_under(KEY, pin=pin)


def test_row_9_no_clear_pin_in_production(host: Any, make_host: HostMaker) -> None:
    """BA and NG are 68; where they are switched on, 17 until officers authorise them."""
    kept = seal_pin(host.lmk.pin_key, PIN, ACCOUNT)
    assert say(host, f"BA{PIN}F{ACCOUNT}") == say(host, f"NG{ACCOUNT}{kept}") == "68"
    test = make_host(Policy(test=True, disabled=frozenset()))
    assert say(test, f"BA{PIN}F{ACCOUNT}") == say(test, f"NG{ACCOUNT}{kept}") == "17"
    test.processor.service.authorised = {"BA"}.__contains__
    assert say(test, f"BA{PIN}F{ACCOUNT}") == f"00{kept}"
    assert say(test, f"NG{ACCOUNT}{kept}") == "17"


@pytest.mark.parametrize("lmk_id", ["00", "01", "02"])
def test_every_lmk_keeps_pins(free: Any, lmk_id: str) -> None:
    """Each with its own key: what one keeps another does not know."""
    kept = say(free, f"BA{PIN}F{ACCOUNT}%{lmk_id}")[2:]
    others = {say(free, f"NG{ACCOUNT}{kept}%{other}") for other in {"00", "01", "02"} - {lmk_id}}

    assert say(free, f"NG{ACCOUNT}{kept}%{lmk_id}") == f"00{PIN}F"
    assert f"00{PIN}F" not in others


@settings(deadline=None)
@given(st.text("0123456789", min_size=4, max_size=12), st.integers(0, 8))
def test_kept_pins_by_length(pin: str, more: int) -> None:
    """Any PIN in any field that has room for it."""
    width = min(13, len(pin) + 1 + more)
    field = seal_pin(bytes(range(16)), pin, ACCOUNT, width)

    assert len(field) == width
    assert open_pin(bytes(range(16)), field, ACCOUNT) == pin


def test_strange_kept_pins_are_14(free: Any) -> None:
    """Of all fields of five digits no more than one in ten opens; the other lengths are 15."""
    key, opened = free.lmk.pin_key, 0
    for number in range(2000):
        opened += _opens(key, f"{number:05d}")
    assert 120 < opened < 280
    zpk = free.wrap("001", KEY)
    strange = next(n for n in range(100) if not _opens(key, f"{n:05d}"))
    assert say(free, f"JG{zpk}01{ACCOUNT}{strange:05d}") == "14"
    assert say(free, f"JG{zpk}01{ACCOUNT}1234") == "14"
    assert say(free, f"JG{zpk}01{ACCOUNT}") == "15"
    assert say(free, f"JG{zpk}01{ACCOUNT}12E45") == "15"


def _opens(key: bytes, field: str) -> bool:
    try:
        open_pin(key, field, ACCOUNT)
    except CommandError as error:
        return error.code != "14"
    return True


@pytest.mark.parametrize(("asked", "length"), [("", 4), ("04", 4), ("12", 12)])
def test_random_pins(free: Any, asked: str, length: int) -> None:
    """JA: as long as asked for, another one each time, every digit met."""
    pins = set()
    for _ in range(60):
        kept = say(free, f"JA{ACCOUNT}{asked}")
        assert kept[:2] == "00"
        pins.add(open_pin(free.lmk.pin_key, kept[2:], ACCOUNT))
    assert {len(pin) for pin in pins} == {length}
    assert len(pins) > 50
    assert set("".join(pins)) == set("0123456789")
    for wrong in ("03", "13"):
        assert say(free, f"JA{ACCOUNT}{wrong}") == "24"


# ---- PVV ----------------------------------------------------------------------------------------


def test_pvv_of_terminal_and_interchange(free: Any) -> None:
    """DC and EC take what DG and FW made; PVK as U, X and untagged pair; another index is 01."""
    values = pvv_request(free)
    zpk = {"zpk": free.wrap("001", KEY)} | {k: v for k, v in values.items() if k != "tpk"}
    kept = seal_pin(free.lmk.pin_key, PIN, ACCOUNT)
    plain = free.wrap("002", OTHER, "X")
    for pvk in (values["pvk"], plain, Cryptogram("", plain.body)):
        _, made = free.ask("DG", pvk=pvk, pin=kept, account=ACCOUNT, pvk_index="1")
        assert made == {"new_pvv": values["pvv"]}
        assert free.ask("DC", **(values | {"pvk": pvk})) == ("00", {})
        assert free.ask("EC", **(zpk | {"pvk": pvk})) == ("00", {})
        assert free.ask("EC", **(zpk | {"pvk": pvk, "pvk_index": "2"})) == ("01", {})
    dg = f"DG{plain.body}{kept}{ACCOUNT}1"
    assert say(free, dg) == say(free, f"{dg};") == say(free, f"{dg}%00") == f"00{values['pvv']}"


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"tpk": FLIPPED}, "10"),
        ({"pvk": FLIPPED}, "11"),
        ({"tpk": FLIPPED, "pvk": FLIPPED}, "10"),
        ({"format": "99"}, "23"),
        ({"format": "05"}, "69"),
        ({"account": "999999999999"}, "20"),
        ({"pin_block": "0000000000000000"}, "20"),
        ({"pvv": "none"}, "15"),
    ],
)
def test_dc_refuses(host: Any, changed: dict[str, str], error: str) -> None:
    """Source key, then PVK, then the format, then the block."""
    if changed.get("pvv") == "none":
        values = pvv_request(host)
        text = f"DC{values['tpk']}{values['pvk']}{values['pin_block']}01{ACCOUNT}1ABCD"
        assert say(host, text) == error
        return
    assert host.ask("DC", **pvv_request(host, **changed)) == (error, {})


@pytest.mark.parametrize("clear", [KEY[:16], KEY + OTHER[:16]])
def test_a_pvv_needs_a_pair(free: Any, clear: str) -> None:
    """27 for one of another length."""
    pvk = free.wrap("002", clear, {16: "Z", 48: "T"}[len(clear)])
    values = pvv_request(free)
    text = f"DC{values['tpk']}{'Z' if len(clear) == 16 else ''}{pvk}{values['pin_block']}"

    assert say(free, f"{text}01{ACCOUNT}1{values['pvv']}") == "27"


def test_pvk_blocks_by_purpose(free: Any) -> None:
    """V2 checks a PVV, V1 an offset, V0 both; a verifying key makes nothing (A8)."""
    zpk = block_key(free, "72", "T2", "B", KEY)
    pvks = {name: block_key(free, name, "T2", "V", OTHER) for name in ("V0", "V1", "V2")}
    pvv, offset = pvv_request(free), offset_request(free)
    card = f"06{ACCOUNT}{TABLE}1234567890N2"
    block = block_under(KEY)
    ec = {n: say(free, f"EC{zpk}{k}{block}01{ACCOUNT}1{pvv['pvv']}") for n, k in pvks.items()}
    ea = {n: say(free, f"EA{zpk}{k}12{block}01{card}{offset['offset']}") for n, k in pvks.items()}

    assert ec == {"V0": "00", "V1": "A6", "V2": "00"}
    assert ea == {"V0": "00", "V1": "00", "V2": "A6"}
    assert say(free, f"FWFFF{zpk}{pvks['V0']}{block}01{ACCOUNT}1") == "A8"
    assert say(free, f"BKFFF{zpk}{pvks['V0']}{block}01{card}") == "A8"


@pytest.mark.parametrize("code", ["003", "008", "00B", "000"])
def test_fw_takes_pin_keys_only(free: Any, code: str) -> None:
    """28 for any other type."""
    text = f"FW{code}{free.wrap('002', KEY)}{free.wrap('002', OTHER)}{block_under(KEY)}"

    assert say(free, f"{text}01{ACCOUNT}1") == "28"


# ---- IBM offset ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("pin", "length"), [("1234", 4), ("135790", 6), ("135790", 4)])
def test_offsets_of_all_commands_agree(free: Any, pin: str, length: int) -> None:
    """BK and DE make what DA and EA check and EE turns back."""
    values = offset_request(free, pin, length)
    card = {k: values[k] for k in ("pvk", "check_length", "account", "table", "validation_data")}
    zpk = {"zpk": free.wrap("001", KEY)} | {k: v for k, v in values.items() if k != "tpk"}
    kept = seal_pin(free.lmk.pin_key, pin, ACCOUNT)
    block = {"pin_block": values["pin_block"], "format": "01"}
    made = {"new_offset": values["offset"]}

    assert free.ask("BK", key_type="001", key=free.wrap("001", KEY), **card, **block)[1] == made
    assert free.ask("BK", key_type="002", key=values["tpk"], **card, **block)[1] == made
    assert free.ask("DE", **card, pin=kept)[1] == made
    assert free.ask("DA", **values) == free.ask("EA", **zpk) == ("00", {})
    _, derived = free.ask("EE", **card, offset=values["offset"])
    assert open_pin(free.lmk.pin_key, derived["pin"], ACCOUNT) == pin[:length]


def test_offsets_are_psecs(free: Any) -> None:
    """DE under a single-length PVK against psec's offset."""
    pvk = bytes.fromhex("0123456789ABCDEF")
    natural = primitives.natural_pin(pvk, TABLE, expanded())
    kept = seal_pin(free.lmk.pin_key, PIN, ACCOUNT)
    text = f"DE{free.wrap('002', pvk.hex(), 'Z')}{kept}06{ACCOUNT}{TABLE}1234567890N2"

    assert say(free, text) == f"00{primitives.subtract_digits(PIN, natural)}FFFFFF"
    assert say(free, f"{text};") == say(free, text)


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"tpk": FLIPPED}, "10"),
        ({"pvk": FLIPPED}, "11"),
        ({"table": "0000000000000001"}, "25"),
        ({"table": "0123456789ABCDEF"}, "25"),
        ({"check_length": "03"}, "24"),
        ({"check_length": "13"}, "24"),
        ({"pin_length_max": "03"}, "24"),
        ({"pin_length_max": "05"}, "24"),
        ({"offset": "12345FFFFFFF"}, "15"),
        ({"offset": "1234F1FFFFFF"}, "15"),
        ({"offset": "000000FFFFFF"}, "01"),
        ({"check_length": "07", "offset": "0000000FFFFF"}, "01"),
        ({"account": "999999999999"}, "20"),
    ],
)
def test_da_refuses(host: Any, changed: dict[str, str], error: str) -> None:
    """Keys, then the card's data, then the block, then the PIN."""
    assert host.ask("DA", **(offset_request(host) | changed)) == (error, {})


@pytest.mark.parametrize("data", ["123456789012", "12345678NN12", "1234567890X2"])
def test_validation_data_has_one_n(free: Any, data: str) -> None:
    """15 otherwise."""
    kept = seal_pin(free.lmk.pin_key, PIN, ACCOUNT)

    assert say(free, f"DE{free.wrap('002', KEY)}{kept}06{ACCOUNT}{TABLE}{data}") == "15"


def test_an_offset_is_not_longer_than_its_pin(free: Any) -> None:
    """81: check length 6, PIN of 4 digits."""
    values = offset_request(free, "1234", 4, check_length="06")
    card = {k: values[k] for k in ("pvk", "check_length", "account", "table", "validation_data")}
    kept = seal_pin(free.lmk.pin_key, "1234", ACCOUNT)

    assert free.ask("DE", **card, pin=kept) == ("81", {})


def test_a_long_pvk_may_be_warned_of(make_host: HostMaker) -> None:
    """Profile ibm_long_pvk 02: done, with that code; not for a single-length PVK."""
    host = make_host(replace(open_policy(), profile=Profile(ibm_long_pvk="02")))
    values = offset_request(host)
    card = {k: values[k] for k in ("pvk", "check_length", "account", "table", "validation_data")}
    kept = seal_pin(host.lmk.pin_key, PIN, ACCOUNT)

    assert host.ask("DA", **values) == ("02", {})
    assert host.ask("DE", **card, pin=kept) == ("02", {"new_offset": values["offset"]})
    short = f"DE{host.wrap('002', KEY[:16], 'Z')}{kept}06{ACCOUNT}{TABLE}1234567890N2"
    assert say(host, short)[:2] == "00"


# ---- counting failures --------------------------------------------------------------------------


class FiveTries(Judge):
    """Five failures hold a key for ever."""

    def __init__(self) -> None:
        self.failed: dict[bytes, int] = {}

    def open(self, key: bytes, account: str = "") -> bool:
        """Whether it is below its five."""
        return self.failed.get(key, 0) < 5

    def note(self, key: bytes, passed: bool, account: str = "") -> None:
        """A failure counts."""
        if not passed:
            self.failed[key] = self.failed.get(key, 0) + 1


class Tried:
    """A host whose judge counts."""

    def __init__(self, make_host: HostMaker) -> None:
        self.host = make_host(open_policy())
        service = Service(
            Slots({"00": published_test_lmk()}), open_policy(), self.host.entropy, FiveTries()
        )
        self.host.processor = Processor(service)

    def ask(self, code: str, values: dict[str, Any]) -> str:
        """The error code alone."""
        error: str = self.host.ask(code, **values)[0]
        return error


def test_row_26_a_search_for_the_pvv_is_stopped(make_host: HostMaker) -> None:
    """All 10 000 PVVs in turn: five 01, then 39 to the end, even for the right one."""
    tried = Tried(make_host)
    values = pvv_request(tried.host)
    right = int(values["pvv"])
    order = [number for number in range(10_000) if number != right] + [right]
    codes = [tried.ask("DC", values | {"pvv": f"{n:04d}"}) for n in [*order[:40], right]]

    assert codes == ["01"] * 5 + ["39"] * 36


def test_row_26_an_offset_search_is_stopped(make_host: HostMaker) -> None:
    """DA counts by PVK too; another PVK is not held."""
    tried = Tried(make_host)
    values = offset_request(tried.host)
    wrong = values | {"offset": "000000FFFFFF"}
    codes = [tried.ask("DA", wrong) for _ in range(7)]

    assert codes == ["01"] * 5 + ["39"] * 2
    assert tried.ask("DA", values) == "39"
    assert tried.ask("DA", values | {"pvk": str(tried.host.wrap("002", KEY))}) == "01"
