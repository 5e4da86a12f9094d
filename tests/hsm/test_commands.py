"""Host commands: published answers, refusals and their order, separation of keys."""

from collections.abc import Callable
from typing import Any

import pytest

from hsm import primitives
from hsm.commands import Service
from hsm.keys import KEY_TYPES, parse_cryptogram
from hsm.lmk import published_test_lmk
from hsm.policy import Policy
from hsm.processor import Processor
from hsm.slots import Slots

KEY = "0123456789ABCDEFFEDCBA9876543210"
TMK = "CA5D92598DCA48CE8A4C76361A9269E9"
FIELD_62 = "6701EAD6A9AD51E51AA406E2C27FCFA98D0A74B8B651F9E9BACE9AE10000000000000000AB7153CA"
PIK, MAK = "807A23AD32B36D457AE91FDF927570EA", "5BB5C72CD00B7338"
ACCOUNT, PAN_PIK = "123456789012", "1023456789ABCDEFFEDCBA9876543201"


def mac_request(**changed: str | bytes) -> dict[str, Any]:
    """M6 as field 64 needs it: one text block, algorithm 1, padding 1, 8 hex."""
    return {
        "mode": "0",
        "form": "2",
        "mac_size": "0",
        "algorithm": "1",
        "padding": "1",
        "key_type": "003",
        "message": b"4D08F434464FE7BF",
        **changed,
    }


def pin_request(host: Any, **changed: Any) -> dict[str, Any]:
    """CA of the illustration in the field's notes: PIN 135790, PAN 6200001234567890128."""
    block = primitives.ecb_encrypt(bytes.fromhex(KEY), primitives.pin_block_0("135790", ACCOUNT))
    return {
        "tpk": host.wrap("002", KEY),
        "zpk": host.wrap("001", PAN_PIK),
        "pin_length_max": "12",
        "pin_block": block.hex().upper(),
        "source_format": "01",
        "target_format": "01",
        "account": ACCOUNT,
        **changed,
    }


# ---- known answers ------------------------------------------------------------------------------


def test_check_value_of_the_published_key(host: Any) -> None:
    """BU: 08D7B4FB629D0885, and 08D7B4 where 6 digits are asked for, as any type."""
    for code in KEY_TYPES:
        named: dict[str, Any] = {"key": host.wrap(code, KEY), "length_flag": "1"}
        named |= (
            {"pair_code": code[1:]} if code[0] == "0" else {"pair_code": "FF", "key_type": code}
        )

        assert host.ask("BU", **named) == ("00", {"check_value": "08D7B4FB629D0885"})
        assert host.ask("BU", **named, kcv_form="1") == ("00", {"check_value": "08D7B4"})


def test_x919_of_the_standards_example(host: Any) -> None:
    """M6 algorithm 3 over ``Now is the time for all `` with 16 digits of MAC."""
    values = mac_request(algorithm="3", mac_size="1", message=b"Now is the time for all ")

    assert host.ask("M6", key=host.wrap("003", KEY), **values) == (
        "00",
        {"mac": "A1C72E74EA3FA9B6"},
    )


def test_zpk_import_under_the_test_lmk(host: Any) -> None:
    """A6 of a key wrapped by hand ends as the published cryptogram, scheme U and scheme X."""
    zmk = "11223344556677889900AABBCCDDEEFF"
    zmk = primitives.odd_parity(bytes.fromhex(zmk)).hex().upper()
    under = primitives.ecb_encrypt(bytes.fromhex(zmk), bytes.fromhex(KEY)).hex().upper()
    for scheme, key in (
        ("U", "U063A0E7C0F2124E56192A4510F395ED7"),
        ("X", "X8B4ECCAE01B4B17AAC951121A98DB14E"),
    ):
        answer = host.ask(
            "A6", key_type="001", zmk=host.wrap("000", zmk), key_zmk=f"X{under}", scheme_lmk=scheme
        )

        assert answer == (
            "00",
            {"key_lmk": parse_cryptogram(key), "check_value": "08D7B4"},
        )


def test_field_62_of_a_real_sign_on(host: Any) -> None:
    """Both working keys of the public field 62 come in by A6 and show the bank's check values."""
    tmk = host.wrap("000", TMK)
    pik, mak = f"X{FIELD_62[:32]}", f"Z{FIELD_62[40:56]}"

    error, imported = host.ask("A6", key_type="001", zmk=tmk, key_zmk=pik, scheme_lmk="U")
    assert (error, imported["check_value"]) == ("00", FIELD_62[32:38])
    assert host.lmk.unwrap("001", imported["key_lmk"]).hex().upper() == PIK

    error, imported = host.ask(
        "A6", key_type="003", zmk=tmk, key_zmk=parse_cryptogram(mak), scheme_lmk="Z"
    )
    assert (error, imported["check_value"]) == ("00", FIELD_62[72:78])
    assert host.lmk.unwrap("003", imported["key_lmk"]).hex().upper() == MAK
    assert imported["key_lmk"].scheme == ""
    checked = host.ask("BU", pair_code="03", length_flag="0", key=imported["key_lmk"])
    assert checked[1]["check_value"][:8] == FIELD_62[72:]


def test_field_64_by_m6_and_m8(host: Any) -> None:
    """The published UnionPay MAC; M8 takes it and refuses any other with 01."""
    key = host.wrap("003", "C24A8FB57AA20123")

    assert host.ask("M6", key=key, **mac_request()) == ("00", {"mac": "8A9E91B8"})
    assert host.ask("M8", key=key, mac="8A9E91B8", **mac_request()) == ("00", {})
    assert host.ask("M8", key=key, mac="8A9E91B9", **mac_request()) == ("01", {})


def test_field_64_of_a_double_key_is_3des_in_every_step(host: Any) -> None:
    """Algorithm 1, not X9.19: the two differ for the same key and message."""
    key, text = bytes.fromhex(KEY), b"4D08F434464FE7BF"
    first = primitives.ecb_encrypt(key, text[:8])
    second = primitives.ecb_encrypt(key, primitives.xor(first, text[8:]))
    wrapped = host.wrap("003", KEY)

    assert host.ask("M6", key=wrapped, **mac_request())[1]["mac"] == second[:4].hex().upper()
    assert host.ask("M6", key=wrapped, **mac_request(algorithm="3"))[1]["mac"] != second[:4].hex()


def test_pin_translation_of_the_illustration(host: Any) -> None:
    """CA gives field 52 = B35621D3FC600329 under the bank's PIK."""
    assert host.ask("CA", **pin_request(host)) == (
        "00",
        {"pin_length": "06", "translated": "B35621D3FC600329", "format": "01"},
    )


# ---- data ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["0", "1"])
@pytest.mark.parametrize("mode", ["00", "01"])
def test_data_comes_back(host: Any, mode: str, form: str) -> None:
    """M2 undoes M0 in ECB and CBC, binary and hex."""
    plain = b"6225880123456789"
    common = {"mode": mode, "form": form, "output_form": form, "key_type": "00B"}
    common |= {"key": host.wrap("00B", KEY)} | ({"iv": "0102030405060708"} if mode == "01" else {})

    error, sealed = host.ask("M0", data=plain, **common)
    assert error == "00"
    assert sealed["result"] != plain
    error, opened = host.ask("M2", data=sealed["result"], **common)

    assert (error, opened["result"]) == ("00", plain)
    if mode == "01":
        assert sealed["chain"] == opened["chain"] == sealed["result"][-8:].hex().upper()


@pytest.mark.parametrize("algorithm", ["1", "3"])
def test_a_mac_in_parts_is_the_mac_of_the_whole(host: Any, algorithm: str) -> None:
    """Modes 1, 2, 3 with the chain handed on give what mode 0 gives."""
    key, whole = host.wrap("008", KEY), bytes(range(40))
    common = mac_request(key_type="008", form="0", algorithm=algorithm, key=key)
    _, expected = host.ask("M6", **(common | {"message": whole}))

    _, one = host.ask("M6", **(common | {"mode": "1", "message": whole[:16]}))
    _, two = host.ask("M6", **(common | {"mode": "2", "iv": one["chain"], "message": whole[16:32]}))
    last = common | {"mode": "3", "iv": two["chain"], "message": whole[32:]}

    assert host.ask("M6", **last)[1] == expected
    assert host.ask("M8", **last, mac=expected["mac"])[0] == "00"


# ---- generation ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("scheme", "length"), [("U", 16), ("X", 16), ("T", 24), ("Z", 8)])
def test_a_generated_key_is_sound(host: Any, scheme: str, length: int) -> None:
    """A0: odd parity, right length, its own check value, and another one each time."""
    error, made = host.ask("A0", mode="0", key_type="003", scheme_lmk=scheme)
    _, again = host.ask("A0", mode="0", key_type="003", scheme_lmk=scheme)
    clear = host.lmk.unwrap("003", made["key_lmk"])

    assert error == "00"
    assert len(clear) == length
    assert primitives.check_value(clear)[:3].hex().upper() == made["check_value"]
    assert made["key_lmk"] != again["key_lmk"]


@pytest.mark.parametrize(("flag", "key_type"), [(None, "000"), ("0", "000"), ("1", "002")])
def test_a_generated_key_goes_out_under_a_zmk_or_tmk(
    host: Any, flag: str | None, key_type: str
) -> None:
    """Mode 1: the LMK's cryptogram first, the ZMK's second, and A6 brings the same key back."""
    option = {} if flag is None else {"zmk_flag": flag}
    values = {"zmk": host.wrap(key_type, KEY), "scheme_zmk": "X", **option}
    error, made = host.ask("A0", mode="1", key_type="001", scheme_lmk="U", **values)

    assert error == "00"
    _, back = host.ask(
        "A6", key_type="001", zmk=host.wrap("000", KEY), key_zmk=made["key_zmk"], scheme_lmk="U"
    )
    assert back == {"key_lmk": made["key_lmk"], "check_value": made["check_value"]}


def test_weak_keys_are_never_handed_out() -> None:
    """75 when the source of randomness gives nothing but weak keys or equal halves."""
    for broken in (bytes, lambda length: b"\x25" * length):
        processor = Processor(Service(Slots({"00": published_test_lmk()}), Policy(), broken))

        assert processor.answer(b"0001A00003U").frame == b"0001A175"


# ---- refusals -----------------------------------------------------------------------------------

FLIPPED = "U163A0E7C0F2124E56192A4510F395ED7"
"""A cryptogram that opens to bad parity under every type."""


@pytest.mark.parametrize(
    ("code", "changed", "error"),
    [
        ("CA", {"tpk": FLIPPED}, "10"),
        ("CA", {"zpk": FLIPPED}, "11"),
        ("CA", {"tpk": FLIPPED, "zpk": FLIPPED, "pin_block": "0" * 16}, "10"),
        ("CA", {"zpk": FLIPPED, "source_format": "99"}, "11"),
        ("CA", {"source_format": "99"}, "23"),
        ("CA", {"target_format": "99"}, "23"),
        ("CA", {"source_format": "05"}, "69"),
        ("CA", {"target_format": "02"}, "69"),
        ("CA", {"pin_length_max": "13"}, "24"),
        ("CA", {"pin_length_max": "05"}, "24"),
        ("CA", {"account": "999999999999"}, "20"),
    ],
)
def test_ca_refuses(host: Any, code: str, changed: dict[str, str], error: str) -> None:
    """Parity of source, then of destination, then formats, then the PIN itself."""
    assert host.ask(code, **pin_request(host, **changed)) == (error, {})


@pytest.mark.parametrize(
    ("clear", "error"),
    [
        ("1412AC89ABCDEF67", "20"),
        ("0312AC89ABCDEF67", "24"),
        ("0D12AC89ABCDEF67", "24"),
        ("0412AC89ABCDEF60", "20"),
    ],
)
def test_ca_refuses_a_bad_pin_block(host: Any, clear: str, error: str) -> None:
    """Control nibble and fill are 20, the length is 24."""
    block = primitives.ecb_encrypt(bytes.fromhex(KEY), bytes.fromhex(clear)).hex().upper()
    values = pin_request(host, pin_block=block, account="987654321098")

    assert host.ask("CA", **values) == (error, {})


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"key_type": "001"}, "28"),
        ({"key_type": "00B"}, "28"),
        ({"key": FLIPPED}, "10"),
        ({"algorithm": "3", "key": "single"}, "27"),
        ({"padding": "0", "message": b"seven.."}, "80"),
        ({"message": b""}, "80"),
        ({"mode": "1", "message": b"seven.."}, "80"),
        ({"lmk_id": "07"}, "13"),
    ],
)
def test_m6_refuses(host: Any, changed: dict[str, Any], error: str) -> None:
    """Type before parity before length; another LMK id is 13."""
    values = mac_request(key=host.wrap("003", KEY)) | changed
    if values["key"] == "single":
        values["key"] = host.wrap("003", MAK)

    assert host.ask("M6", **values) == (error, {})


@pytest.mark.parametrize(
    ("frame", "answer"),
    [
        (b"A0900BU", b"A115"),
        (b"A000ZZU", b"A104"),
        (b"A00001Q", b"A126"),
        (b"A00001", b"A115"),
        (b"A00001Utoo much", b"A115"),
        (b"A00001U%9", b"A113"),
        (b"A00001U%07", b"A113"),
        (b"B20005abcd", b"B380"),
        (b"B20003abcd", b"B315"),
        (b"B20004abcd", b"B300abcd"),
        (b"B20004abcd\x19tail", b"B300abcd\x19tail"),
        (b"NO02", b"NP15"),
        (b"BUFF1U063A0E7C0F2124E56192A4510F395ED7", b"BV15"),
        (b"BU010U063A0E7C0F2124E56192A4510F395ED7", b"BV05"),
        (b"BU013U063A0E7C0F2124E56192A4510F395ED7", b"BV05"),
        (b"BU011S063A0E7C0F2124E56192A4510F395ED7", b"BV15"),
        (b"GK000\x19tail", b"GL68\x19tail"),
        (b"BA12345", b"BB68"),
        (b"N", b"ZZ51"),
        (b"", b"ZZ51"),
    ],
)
def test_bad_requests(host: Any, frame: bytes, answer: bytes) -> None:
    """Each with its documented code; header and trailer come back; 68 keeps the framing."""
    assert host.raw(b"\x00HDR" + frame) == b"\x00HDR" + answer


def test_a_disabled_command_is_68(make_host: Callable[[Policy], Any]) -> None:
    """By policy, whatever follows."""
    assert make_host(Policy(disabled=frozenset({"A0"}))).raw(b"0001A00001U") == b"0001A168"


def test_status_commands_say_software(host: Any) -> None:
    """NC and NO carry the YYT firmware name and no PCI setting."""
    assert host.ask("NC")[1]["firmware"].startswith("YYT")
    assert host.ask("NO", mode="00")[1]["sockets"] == "64"
    assert host.ask("NO", mode="01")[1] == {"pci_setting": "0"}


def test_import_sets_wrong_parity_right_and_says_so(host: Any) -> None:
    """01 with the key: the odd twin is stored, with the same check value."""
    even = bytes(b ^ 1 for b in bytes.fromhex(KEY))
    under = primitives.ecb_encrypt(bytes.fromhex(KEY), even).hex().upper()
    error, fields = host.ask(
        "A6", key_type="003", zmk=host.wrap("000", KEY), key_zmk=f"X{under}", scheme_lmk="U"
    )

    assert (error, fields["check_value"]) == ("01", "08D7B4")
    assert host.lmk.unwrap("003", fields["key_lmk"]).hex().upper() == KEY


def test_import_refuses_nothing_and_another_length(host: Any) -> None:
    """An all-zero key is 11, a single key for scheme U is 26, a bad ZMK is 10."""
    zero = primitives.ecb_encrypt(bytes.fromhex(KEY), bytes(16)).hex().upper()
    common = {"key_type": "001", "zmk": host.wrap("000", KEY), "scheme_lmk": "U"}

    assert host.ask("A6", key_zmk=f"X{zero}", **common)[0] == "11"
    assert host.ask("A6", key_zmk=parse_cryptogram(f"Z{zero[:16]}"), **common)[0] == "11"
    assert host.ask("A6", key_zmk=parse_cryptogram("Z" + "1" * 16), **common)[0] == "26"
    assert host.ask("A6", key_zmk=f"X{zero}", **(common | {"zmk": FLIPPED}))[0] == "10"


def test_atalla_variant_of_the_zmk(host: Any) -> None:
    """A6 with a variant digit takes the ZMK with bytes 0 and 8 changed; 9 does not exist."""
    clear = bytes.fromhex(PAN_PIK)
    zmk = bytes.fromhex("0923456789ABCDEFF6DCBA9876543210")
    under = primitives.ecb_encrypt(zmk, clear).hex().upper()
    common = {"key_type": "001", "zmk": host.wrap("000", KEY), "key_zmk": f"X{under}"}
    error, fields = host.ask("A6", scheme_lmk="U", atalla_variant="1", **common)

    assert error == "00"
    assert host.lmk.unwrap("001", fields["key_lmk"]) == clear
    assert host.ask("A6", scheme_lmk="U", atalla_variant="9", **common)[0] == "15"


# ---- separation of keys -------------------------------------------------------------------------


@pytest.mark.parametrize("wrong", sorted(set(KEY_TYPES) - {"002"}))
def test_only_a_tpk_opens_a_pin_block(host: Any, wrong: str) -> None:
    """CA under a key of any other type is a parity error, never a translation."""
    assert host.ask("CA", **pin_request(host, tpk=host.wrap(wrong, KEY)))[0] == "10"


@pytest.mark.parametrize("wrong", sorted(set(KEY_TYPES) - {"003"}))
def test_only_a_tak_makes_a_terminal_mac(host: Any, wrong: str) -> None:
    """M6 as TAK with a cryptogram of any other type is a parity error."""
    assert host.ask("M6", **mac_request(key=host.wrap(wrong, KEY)))[0] == "10"


@pytest.mark.parametrize("code", ["M0", "M2"])
@pytest.mark.parametrize("wrong", sorted(set(KEY_TYPES) - {"00A", "00B", "30B"}))
def test_pin_and_mac_keys_never_open_data(host: Any, code: str, wrong: str) -> None:
    """28 when the type is said, 10 when it is lied about."""
    common = {"mode": "00", "form": "1", "output_form": "1", "data": bytes(8)}

    assert host.ask(code, key_type=wrong, key=host.wrap(wrong, KEY), **common)[0] == "28"
    assert host.ask(code, key_type="00B", key=host.wrap(wrong, KEY), **common)[0] == "10"


def test_what_decrypts_never_crosses_a_zmk(host: Any) -> None:
    """The bank's PIK cannot come in as a DEK, a DEK cannot go out, and a ZEK only encrypts: else
    M2 would open PIN blocks."""
    zmk, under = host.wrap("000", TMK), f"X{FIELD_62[:32]}"
    opened = {"mode": "00", "form": "1", "output_form": "1", "data": bytes(8), "key_type": "00A"}
    export = {"mode": "1", "zmk": zmk, "scheme_zmk": "X", "scheme_lmk": "U"}

    assert host.ask("A6", key_type="00B", zmk=zmk, key_zmk=under, scheme_lmk="U")[0] == "29"
    assert host.ask("A0", key_type="00B", **export)[0] == "29"
    assert host.ask("M0", key=host.wrap("00A", KEY), **opened)[0] == "00"
    assert host.ask("M2", key=host.wrap("00A", KEY), **opened)[0] == "29"


def test_export_needs_a_zmk_as_strong_as_the_key(host: Any) -> None:
    """27 for a triple-length key under a double-length ZMK; 26 when the schemes disagree."""
    common = {"mode": "1", "key_type": "001", "zmk": host.wrap("000", KEY)}

    assert host.ask("A0", scheme_lmk="T", scheme_zmk="Y", **common)[0] == "27"
    assert host.ask("A0", scheme_lmk="U", scheme_zmk="Y", **common)[0] == "26"


def test_I12_no_answer_carries_a_clear_key_or_pin(host: Any) -> None:
    """Everything the daemon answers in this test, searched for the clear values in it."""
    answers = b"".join(
        host.raw(frame)
        for frame in (
            b"0001NC",
            b"0001NO00",
            b"0001BU031" + str(host.wrap("003", KEY)).encode(),
            b"0001CA" + str(host.wrap("002", KEY)).encode() + b"garbage",
            b"0001A6001"
            + str(host.wrap("000", TMK)).encode()
            + b"X"
            + FIELD_62[:32].encode()
            + b"U",
        )
    )
    for secret in (KEY, TMK, PIK, MAK, "135790"):
        assert secret.encode() not in answers
        assert bytes.fromhex(secret) not in answers


def test_a_fault_of_ours_answers_41_and_tells_no_text(host: Any) -> None:
    """The boundary: an unexpected exception becomes 41, the service goes on."""

    def broken(length: int) -> bytes:
        raise RuntimeError("key material in here")

    heard: list[str] = []
    processor = Processor(
        Service(Slots({"00": published_test_lmk()}), Policy(), broken),
        lambda code, error: heard.append(code),
    )

    assert processor.answer(b"0001A00001U").frame == b"0001A141"
    assert heard == ["A0"]
    assert processor.answer(b"0001NC").error == "00"
