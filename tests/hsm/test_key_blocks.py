"""Key blocks under the key-block test LMKs: a device's own blocks, what a header allows, every
flipped bit, and the way in and out under a ZMK."""

from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, modes
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.cmac import CMAC
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psec import tr31 as oracle

from hsm import keyblock, primitives
from hsm.block_header import Attributes, BlockHeader
from hsm.codec import Tail
from hsm.errors import CommandError
from hsm.keyblock import AesBlockCipher, TdesBlockCipher
from hsm.keys import Cryptogram, parse_cryptogram
from hsm.policy import Policy, open_policy

pytestmark = pytest.mark.filterwarnings("ignore::cryptography.utils.CryptographyDeprecationWarning")

KEY = bytes.fromhex("0123456789ABCDEFFEDCBA9876543210")
TDES_LMK = bytes.fromhex("0123456789ABCDEF8080808080808080FEDCBA9876543210")
AES_LMK = bytes.fromhex("9B71333A13F9FAE72F9D0E2DAB4AD6784718012F9244033F3F26A2DE0C8AA11A")

ZMK = "S00072K0TB00E0001DB045F29C053EEFF7B9425B3A88C7258EB7EA7E40E2C47878647072A"
ZPK = "S00072P0TB00E0001EA421618B34F5FA1A77F7CF6480111B97CF0FAE7BD77D589EC921EF9"
ZPK_SENT = "S00072P0TB00N00FFE1D89671C973C7F0DAF91CB2EBF379493C08975679001172C89A0AF8"
TAK = "S00072M1TN00E0001FFE01E95CF21BDD0D74B6BEB70E3D90842C137DCA39C1B162C6238D5"
DEVICE = {
    ZMK: "2356F2",
    ZPK: "4FE9FD",
    TAK: "F808C2",
    "S00072K0TB00E00019A75CB10B9C1359CFA732D39217C3667207E279FC9E845F64FEEE9F0": "116D94",
    "S00072P0TB00E00010D869FE84C1F77AE64E0019151533363D4CCE7E1C3F89F3D86115EE8": "456B7D",
    "S0007272TN00E0001DE16F028F38CC385436D8E5B3DD4341F3E55379FBCB39710FE2BB6B4": "4D66A4",
    "S00072E0TN00E00017772090F5BDE6568F9B0EFDADD1D160CDB1655DE1984F00973EC3596": "5E7AF8",
    "S00072V1TN00E00010AE0AD2B1990AB407FAD15059E287760A05DF4DA2391EAB138877E22": "31540C",
    "S00072C0TN00E0001A417975993E2331918759DD1656AC94306BE01C19FDE29E83A93AB42": "EC7A50",
    "S00072B0TN00E0001566678078B5337915F4860C92F3FF2D6A6B11E8786F22DC8032EB758": "97795F",
}
"""Blocks and check values of a device under the TDES test LMK, from the public test data of
ut-codec-payshield."""


@pytest.fixture
def host(make_host: Callable[[Policy], Any]) -> Any:
    """Everything on, as ``--test-lmk`` serves."""
    return make_host(open_policy())


def told(usage: str, algorithm: str = "T2", mode: str = "N", export: str = "S") -> Tail:
    """Attributes of a new key block."""
    return Tail(attributes=Attributes(usage, algorithm, mode, "00", export))


def make(host: Any, tail: Tail, lmk_id: str = "01") -> str:
    """A generated key block."""
    error, made = host.ask(
        "A0", tail=tail._replace(lmk_id=lmk_id), mode="0", key_type="FFF", scheme_lmk="S"
    )
    assert error == "00"
    return str(made["key_lmk"])


def check(host: Any, block: Any) -> tuple[str, str]:
    """Error and 6 digits of check value by BU."""
    error, fields = host.ask(
        "BU", pair_code="FF", length_flag="F", key=block, key_type="FFF", kcv_form="1"
    )
    return error, fields.get("check_value", "")


# ---- a device's blocks --------------------------------------------------------------------------


@pytest.mark.parametrize("block", DEVICE)
def test_a_devices_blocks_open(host: Any, block: str) -> None:
    """Scheme S version 0: their check values come out."""
    assert check(host, block) == ("00", DEVICE[block])


def test_a_devices_export_comes_in(host: Any) -> None:
    """A6 with the device's own bytes: its cryptogram but for the padding, no ``#`` needed."""
    frame = f"0000A6FFF{ZMK}{ZPK_SENT}S%01".encode()
    answer = host.raw(frame).decode()

    assert answer.startswith("0000A700S00072P0TB00N0001EA421618B34F5FA1A77F7CF6480111B9")
    assert answer.endswith("4FE9FD")


def test_export_as_the_device_does(host: Any) -> None:
    """A8 with ``&N``: header and first blocks are the device's."""
    answer = host.raw(f"0000A8FFF{ZMK}{ZPK}S%01&N".encode()).decode()

    assert answer.startswith("0000A900S00072P0TB00N00FFE1D89671C973C7F0DAF91CB2EBF3794")
    assert answer.endswith("4FE9FD")


def test_components_of_the_device(host: Any) -> None:
    """A4 with ``#`` version and number of blocks alone."""
    one = "S0007252TBc1E0001C9ED3207A1A79BCA1CAB8C05FEC9429E2232067D1F9E908F15E9DCA7"
    two = "S0007252TBc2E000125276E9C8BC0FA0F70109274FAB9647EF89A189C019465182A345009"
    answer = host.raw(f"0000A42FFFS{one}{two}#0000".encode()).decode()

    assert answer.startswith("0000A500S0007252TB00E0001D4B4A265C5273F353729F153FC1C2ADA")
    assert answer.endswith("2AE082")
    zmk = {"zmk": parse_cryptogram(one), "key": ZPK, "scheme_zmk": "S"}
    assert host.ask("A8", key_type="FFF", **zmk)[0] == "A9"


def test_bw_with_the_devices_request(host: Any) -> None:
    """A block moves with its header; ``!11`` asks for the check value."""
    answer = host.raw(f"0000BWFFF{TAK};FFF;0S0!11".encode()).decode()

    assert answer.startswith("0000BX00" + TAK[:49])
    assert answer.endswith("F808C2")


def test_a0_with_the_devices_request(host: Any) -> None:
    """Mode 1, the flag without ``;``, both keys as blocks."""
    frame = f"0000A01FFFS0{ZMK}S%01#K0T2B00E00"
    answer = host.raw(frame.encode()).decode()

    assert answer.startswith("0000A100S00072K0TB00E0001")
    assert answer[8 + 73 :].startswith("S00072K0TB00E00FF")
    assert len(answer) == 8 + 73 + 73 + 6


# ---- wrapping -----------------------------------------------------------------------------------

headers = st.builds(
    BlockHeader, st.just("0"), st.sampled_from(("P0", "72", "M3")), st.just("T"),
    st.sampled_from("NEDBX"), st.sampled_from(("00", "12", "c1")), st.sampled_from("NSE"),
    st.sampled_from(((), (("KS", "0001"),), (("KC", "00AA"), ("TS", "2026")))),
    st.sampled_from(("00", "01", "FF")),
)  # fmt: skip


@given(headers, st.sampled_from((16, 24)), st.randoms(use_true_random=False))
def test_version_0_is_tr31_a_by_another_name(header: BlockHeader, size: int, random: Any) -> None:
    """psec opens what we pack as version A, and version 0 differs from it in the header alone."""
    clear = random.randbytes(size)
    as_a = header.exported("A", "00")
    block = keyblock.pack(TdesBlockCipher(TDES_LMK, "A"), as_a, clear, random.randbytes)
    assert oracle.unwrap(TDES_LMK, block)[1] == clear

    packed = keyblock.pack(TdesBlockCipher(TDES_LMK), header, clear, random.randbytes)
    assert keyblock.unpack(TdesBlockCipher(TDES_LMK), packed) == (header, clear)


@given(headers, st.sampled_from((8, 16, 24, 32)), st.randoms(use_true_random=False))
def test_version_1_by_another_library(header: BlockHeader, size: int, random: Any) -> None:
    """AES-CBC from the header on, CMAC over header and cryptogram, keys derived by CMAC."""
    clear, header = random.randbytes(size), header.exported("1", "02")
    block = keyblock.pack(AesBlockCipher(AES_LMK), header, clear, random.randbytes)
    assert keyblock.unpack(AesBlockCipher(AES_LMK), block) == (header, clear)

    end = int(block[1:5]) - 2 * (8 + 16 * (1 + (size + 1) // 16))
    text, data = block[:end].encode(), bytes.fromhex(block[end:])
    keys_ = []
    for usage in (b"\x00\x00", b"\x00\x01"):
        rounds = (bytes((n,)) + usage + b"\x00\x00\x04\x01\x00" for n in (1, 2))
        keys_.append(b"".join(other_cmac(AES_LMK, part) for part in rounds))
    assert other_cmac(keys_[1], text + data[:-8])[:8] == data[-8:]
    opener = Cipher(AES(keys_[0]), modes.CBC(text[:16])).decryptor()
    plain = opener.update(data[:-8]) + opener.finalize()
    assert plain[: 2 + size] == (8 * size).to_bytes(2, "big") + clear


def other_cmac(key: bytes, data: bytes) -> bytes:
    """CMAC by the other library."""
    mac = CMAC(AES(key))
    mac.update(data)
    return mac.finalize()


@pytest.mark.parametrize("lmk_id", ["01", "02"])
def test_every_flipped_bit_is_refused(host: Any, lmk_id: str) -> None:
    """Over the whole block: A4 in usage, algorithm, mode, version, exportability, body and MAC; an
    error in the rest of the header too."""
    block = make(host, told("P0"), lmk_id)[1:]
    for at in range(len(block)):
        for bit in range(7):
            char = chr(ord(block[at]) ^ (1 << bit))
            changed = block[:at] + char + block[at + 1 :]
            if not char.isprintable() or changed.upper() == block:
                continue
            frame = f"0000BUFFFS{changed};FFF%{lmk_id}".encode()
            error = host.raw(frame)[6:8]
            assert error != b"00"
            if at == 0 or 5 <= at < 12 or (at >= 16 and char in "0123456789ABCDEF"):
                assert error == b"A4"


@pytest.mark.parametrize("cut", [5, 16, 30, 71])
def test_a_cut_block_is_an_error(host: Any, cut: int) -> None:
    """Too short for its own length, or a length too short for its parts."""
    body = ZPK[1 : 1 + cut]
    assert host.raw(f"0000BUFFFS{body};FFF".encode())[6:8] in (b"15", b"B2")
    told_short = f"{body[0]}{cut:04d}{body[5:]}"
    assert host.raw(f"0000BUFFFS{told_short};FFF%01".encode())[6:8] in (b"15", b"B2", b"A4")


# ---- what a header allows -----------------------------------------------------------------------


def test_uses_are_checked_in_order(host: Any) -> None:
    """A6 usage, A7 algorithm, A8 mode of use, each for the ZMK of an export."""
    zmk = make(host, told("K0", mode="B"))
    zpk = make(host, told("P0"))
    cases = (
        (zmk, "00"), (make(host, told("P0", mode="B")), "A6"),
        (make(host, told("K0", mode="D")), "A8"), (make(host, told("52", mode="E")), "00"),
    )  # fmt: skip
    for wrapping, error in cases:
        assert host.ask("A8", key_type="FFF", zmk=wrapping, key=zpk, scheme_zmk="S")[0] == error


@pytest.mark.parametrize(
    ("export", "scheme", "narrowed", "error"),
    [
        ("N", "S", "", "AA"), ("N", "R", "", "AA"), ("N", "U", "", "AA"),
        ("E", "S", "", "00"), ("E", "R", "", "00"), ("E", "U", "", "AA"), ("E", "X", "", "AA"),
        ("S", "S", "", "00"), ("S", "R", "", "00"), ("S", "U", "", "00"), ("S", "X", "", "00"),
        ("S", "S", "N", "00"), ("S", "S", "E", "00"), ("E", "S", "N", "00"), ("E", "R", "S", "AA"),
    ],
)  # fmt: skip
def test_exportability(host: Any, export: str, scheme: str, narrowed: str, error: str) -> None:
    """N never goes out, E in a key block only, S as one likes; ``&`` only narrows."""
    zmk = make(host, told("K0", mode="B"))
    key = make(host, told("P0", export=export))
    tail = Tail(block_export=narrowed)

    got, sent = host.ask("A8", tail=tail, key_type="FFF", zmk=zmk, key=key, scheme_zmk=scheme)
    assert got == error
    if error == "00" and scheme in "SR":
        assert sent["key_zmk"].body[11] == (narrowed or export)
        assert sent["key_zmk"].body[14:16] == ("FF" if scheme == "S" else "00")


@pytest.mark.parametrize(
    ("attributes", "lmk_id", "error"),
    [
        (told("P0", "A3"), "01", "27"), (told("P0", "A3"), "02", "00"),
        (told("P0", "T1"), "01", "00"), (told("P0", "T3"), "02", "00"),
        (told("P0", "Z9"), "01", "A7"), (Tail(), "01", "A6"), (told("P0"), "00", "26"),
        (told("P0"), "05", "13"),
    ],
)  # fmt: skip
def test_generation_of_blocks(host: Any, attributes: Tail, lmk_id: str, error: str) -> None:
    """The algorithm says the length; triple DES never protects AES; a variant LMK has no S."""
    tail = attributes._replace(lmk_id=lmk_id)
    got, made = host.ask("A0", tail=tail, mode="0", key_type="FFF", scheme_lmk="S")

    assert got == error
    if error == "00":
        assert check(host, made["key_lmk"]) == ("00", made["check_value"])


def test_schemes_of_the_wrong_lmk(host: Any) -> None:
    """U under a key-block LMK is 26; a U key there is A1, and so is a block under a variant LMK."""
    made = {"mode": "0", "key_type": "001", "scheme_lmk": "U"}
    assert host.ask("A0", tail=Tail("01"), **made)[0] == "26"
    held = {"pair_code": "01", "length_flag": "1", "key": host.wrap("001", KEY.hex())}
    assert host.ask("BU", "01", **held)[0] == "A1"
    assert host.raw(f"0000BUFFF{ZPK};FFF%00".encode())[6:8] == b"A1"


def test_lmk_ids_are_not_mixed(host: Any) -> None:
    """A key under another LMK than the one at work is A2, an LMK that is not there 13."""
    other = make(host, told("P0"), "02")
    named = {"key_type": "FFF", "zmk": ZMK, "scheme_zmk": "S"}

    assert host.ask("A8", key=other, **named)[0] == "A2"
    assert host.ask("A8", "02", key=ZPK, **named)[0] == "A2"
    away = Cryptogram("S", ZPK[1:15] + "77" + ZPK[17:])
    assert check(host, away)[0] == "13"


# ---- in and out ---------------------------------------------------------------------------------


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    lmk_id=st.sampled_from(("01", "02")),
    zmk_algorithm=st.sampled_from(("T2", "T3", "A1", "A2", "A3")),
    algorithm=st.sampled_from(("T1", "T2", "T3", "A1", "A3")),
    scheme=st.sampled_from("SR"),
    version=st.sampled_from(("", "A", "B", "C", "D")),
    usage=st.sampled_from(("P0", "M3", "D0", "C0")),
)
def test_import_undoes_export(
    host: Any, lmk_id: str, zmk_algorithm: str, algorithm: str, scheme: str, version: str,
    usage: str,
) -> None:  # fmt: skip
    """Any key under any ZMK that may protect it comes back the same; a weaker one is 27, one of the
    wrong kind for the version BB."""
    aes = zmk_algorithm[0] == "A"
    if lmk_id == "01" and (aes or algorithm[0] == "A"):
        return
    zmk = make(host, told("K0", zmk_algorithm, "B"), lmk_id)
    key = make(host, told(usage, algorithm, "N", "E"), lmk_id)
    tail = Tail(block_version=version)

    error, sent = host.ask("A8", tail=tail, key_type="FFF", zmk=zmk, key=key, scheme_zmk=scheme)
    if rank(zmk_algorithm) < rank(algorithm):
        assert error == "27"
        return
    if scheme == "R" and version and (version == "D") is not aes:
        assert error == "BB"
        return
    assert error == "00"
    error, back = host.ask("A6", key_type="FFF", zmk=zmk, key_zmk=sent["key_zmk"], scheme_lmk="S")
    assert error == "00"
    assert str(back["key_lmk"])[:17] == key[:17]
    assert check(host, back["key_lmk"]) == check(host, key) == ("00", back["check_value"])


def rank(algorithm: str) -> str:
    """Strengths in the order of the names."""
    return {"T": "1", "A": "2"}[algorithm[0]] + algorithm[1]


@pytest.mark.parametrize("version", ["A", "B", "C"])
def test_a_banks_tr31_block_comes_in_under_both_lmks(host: Any, version: str) -> None:
    """psec wraps; A6 takes it as type 001 under the variant LMK and as a block under the others."""
    header = oracle.Header(version, "P0", "T", "E", "00", "E")
    sent = Cryptogram("R", oracle.wrap(KEY, header, bytes(reversed(KEY)), 16))
    zpk = primitives.odd_parity(bytes(reversed(KEY)))
    named = {"zmk": host.wrap("000", KEY.hex()), "key_zmk": sent, "scheme_lmk": "U"}

    error, made = host.ask("A6", key_type="001", **named)
    assert error == "00" if zpk == bytes(reversed(KEY)) else "01"
    assert host.lmk.unwrap("001", made["key_lmk"]) == zpk
    assert host.ask("A6", key_type="003", **named)[0] == "A6"
    assert host.ask("A6", key_type="001", **(named | {"scheme_lmk": "S"}))[0] == "26"


@pytest.mark.parametrize(("version", "asked"), [("B", ""), ("A", "A"), ("C", "C")])
def test_a_variant_key_goes_out_in_tr31(host: Any, version: str, asked: str) -> None:
    """With attributes behind ``&``, or by what its type means; psec opens it."""
    zpk, zmk = host.wrap("001", KEY.hex()), host.wrap("000", KEY.hex())
    named = {"key_type": "001", "zmk": zmk, "key": zpk, "scheme_zmk": "R"}
    _, plain = host.ask("A8", tail=Tail(block_version=asked), **named)
    header, clear = oracle.unwrap(KEY, plain["key_zmk"].body)
    assert (clear, header.version_id, header.key_usage) == (KEY, version, "P0")

    frame = f"0000A8001{zmk}{zpk}R&P0E01N00" + (f"!{asked}" if asked else "")
    body = host.raw(frame.encode())[9:-6].decode()
    header, clear = oracle.unwrap(KEY, body)
    assert (clear, header.mode_of_use, header.version_num) == (KEY, "E", "01")
    assert header.exportability == "N"
    assert host.raw(frame.replace("&P0", "&M3").encode())[6:8] == b"A6"


def test_a_variant_key_moves_into_a_key_block(host: Any) -> None:
    """BW under a key-block LMK, with ``#`` attributes or as its type means; back it does not go
    (A1)."""
    held = {"pair_code": "01", "length_flag": "1", "key": host.wrap("001", KEY.hex())}
    tail = told("72")._replace(lmk_id="02")

    error, moved = host.ask("BW", tail=tail, scheme_lmk="S", **held)
    assert error == "00"
    assert check(host, moved["key"]) == ("00", "08D7B4")
    back = {"pair_code": "FF", "length_flag": "F", "key_type": "FFF", "key": moved["key"]}
    assert host.ask("BW", "00", **back)[0] == "A1"
    error, plain = host.ask("BW", "02", scheme_lmk="S", **held)
    assert (error, plain["key"].body[5:7]) == ("00", "P0")


def test_x9_17_under_a_zmk_becomes_a_block(host: Any) -> None:
    """A6 of a key without header needs ``#``; the algorithm may be left out."""
    zmk = make(host, told("K0", mode="B", export="S"))
    key = make(host, told("P0", mode="N", export="S"))
    _, sent = host.ask("A8", key_type="FFF", zmk=zmk, key=key, scheme_zmk="X")
    frame = f"0000A6FFF{zmk}{sent['key_zmk']}S%01"

    assert host.raw(frame.encode())[6:8] == b"A6"
    for attributes in ("#72N00N00", "#72T2N00N00"):
        answer = host.raw((frame + attributes).encode()).decode()
        assert answer[:21] == "0000A700S0007272TN00N"
        assert answer[-6:] == sent["check_value"]
    assert host.raw((frame + "#72T3N00N00").encode())[6:8] == b"A7"


def test_an_algorithm_is_not_made_up_on_import(host: Any) -> None:
    """A7: what came as a DES key does not become AES or SM4 by its attributes."""
    zmk = make(host, told("K0", mode="B"), "02")
    frame = f"0000A6FFF{zmk}X{KEY.hex().upper()}S%02#P0"

    for algorithm in ("A1", "41", "T3"):
        assert host.raw(f"{frame}{algorithm}N00N00".encode())[6:8] == b"A7"


def test_sm4_keys_under_an_sm4_zmk(host: Any) -> None:
    """Scheme X carries them there and back; check values are those of SM4."""
    zmk = make(host, told("K0", "41", "B"), "02")
    key = make(host, told("P0", "41", "N", "S"), "02")
    _, sent = host.ask("A8", key_type="FFF", zmk=zmk, key=key, scheme_zmk="X")
    frame = f"0000A6FFF{zmk}{sent['key_zmk']}S%02"

    for attributes in ("#P0N00N00", "#P041N00N00"):
        answer = host.raw((frame + attributes).encode()).decode()
        assert answer[:8] + answer[14:18] == "0000A700P04N"
        assert answer[-6:] == sent["check_value"] == check(host, key)[1]
    assert host.raw((frame + "#P0T2N00N00").encode())[6:8] == b"A7"
    tdes = make(host, told("P0", "T2", "N", "S"), "02")
    assert host.ask("A8", key_type="FFF", zmk=zmk, key=tdes, scheme_zmk="X")[0] == "26"


def test_a_header_may_only_be_narrowed_on_import(host: Any) -> None:
    """``#`` beside a key block: the same use by another name, never another use or more export."""
    zmk = make(host, told("K0", mode="B"))
    key = make(host, told("P0", mode="N", export="E"))
    _, sent = host.ask("A8", key_type="FFF", zmk=zmk, key=key, scheme_zmk="R")
    frame = f"0000A6FFF{zmk}{sent['key_zmk']}S%01"

    for attributes, error in (
        ("#72T2E00N00", b"00"), ("#P0T2N00E00", b"00"), ("#P0T2N00S00", b"AA"),
        ("#D0T2N00N00", b"A6"),
    ):  # fmt: skip
        assert host.raw((frame + attributes).encode())[6:8] == error


def test_dek_blocks_stay_at_home(make_host: Callable[[Policy], Any]) -> None:
    """The strict policy: what is kept home by type is kept home by usage too (29)."""
    strict = make_host(Policy(needing_authority=frozenset()))
    zmk, dek = make(strict, told("K0", mode="B")), make(strict, told("21", mode="B", export="E"))

    assert strict.ask("A8", key_type="FFF", zmk=zmk, key=dek, scheme_zmk="S")[0] == "29"


def test_a_tampered_length_inside_is_a4() -> None:
    """A sound MAC over an impossible key length is still refused."""
    cipher = TdesBlockCipher(TDES_LMK)
    plain = (8 * 40).to_bytes(2, "big") + bytes(22)
    text = BlockHeader("0", "P0", "T", "N").text(2 * (24 + 4), 8).encode()
    body = cipher.encrypt(text[:8], plain)
    block = text.decode() + (body + cipher.mac(text + body)[:4]).hex().upper()

    with pytest.raises(CommandError, match="A4"):
        keyblock.unpack(cipher, block)
