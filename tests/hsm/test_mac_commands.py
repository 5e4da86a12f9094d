"""M6, M8, MA, MC, ME, GW, GM: published answers, refusals, and what must hold of any MAC."""

import hashlib
from collections.abc import Callable
from typing import Any

import psec
import pytest
from cryptography.hazmat.primitives.ciphers.algorithms import AES, SM4
from cryptography.hazmat.primitives.cmac import CMAC
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hsm import primitives
from hsm.block_header import Attributes
from hsm.lmk import NewKey
from hsm.policy import Policy
from hsm.profile import Profile, Sm4Mac

KEY = "0123456789ABCDEFFEDCBA9876543210"
TRIPLE = KEY + "89ABCDEF01234567"
SINGLE = "5BB5C72CD00B7338"
NIST_AES = "2B7E151628AED2A6ABF7158809CF4F3C"
NIST_TDES = "8AA83BF8CBDA10620BC1BF19FBB6CD58BC313D4A371CA8B5"
NIST_DATA = bytes.fromhex(
    "6BC1BEE22E409F96E93D7E117393172AAE2D8A571E03AC9C9EB76FAC45AF8E5130C81C46A35CE411"
)
TAK_BLOCK = "S00072M1TN00E0001FFE01E95CF21BDD0D74B6BEB70E3D90842C137DCA39C1B162C6238D5"
BDK_BLOCK = "S00072B0TN00E0001566678078B5337915F4860C92F3FF2D6A6B11E8786F22DC8032EB758"


def request(**changed: Any) -> dict[str, Any]:
    """M6 over one binary block, algorithm 1, 16 characters of MAC."""
    return {
        "mode": "0",
        "form": "0",
        "mac_size": "1",
        "algorithm": "1",
        "padding": "1",
        "key_type": "003",
        "message": bytes(8),
        **changed,
    }


def block(host: Any, clear: str, algorithm: str, usage: str = "M0", mode: str = "C") -> Any:
    """A clear test key as a key block: under LMK 02 when it is AES or SM4, else 01."""
    lmk = host.lmks["02" if algorithm[0] in "A4" else "01"]
    attributes = Attributes(usage, algorithm, mode, "00", "N")
    return lmk.keep(NewKey("FFF", "S", attributes), bytes.fromhex(clear), host.entropy)


# ---- published answers --------------------------------------------------------------------------


def test_M6_and_M8_of_the_public_simulator(host: Any) -> None:
    """X9.19, method 2, hex input: thalessimulatorlibrary's vector, without its length."""
    key = b"U19D25F349FD03CC3556BB05F65283CA1"
    message = b"72C29C2371CC9BDB65B779B8E8D37B29ECC154AA56A8799FAE2F498F76ED92F2"

    made = host.raw(b"0001M6010" + b"32003" + key + b"0040" + message)
    checked = host.raw(b"0001M8010" + b"32003" + key + b"0040" + message + b"5F1448EE")

    assert made == b"0001M7005F1448EE"
    assert checked == b"0001M900"


def test_M6_and_M8_under_a_key_block(host: Any) -> None:
    """An answer that a real device gave for the published key-block test LMK."""
    made = host.raw(b"0001M601011FFF" + TAK_BLOCK.encode() + b"0008ABCDEF12%01")
    checked = host.raw(b"0001M801011FFF" + TAK_BLOCK.encode() + b"0008ABCDEF12F9369211%01")

    assert made == b"0001M700F9369211"
    assert checked == b"0001M900"


@pytest.mark.parametrize(
    ("length", "mac"),
    [
        (0, "BB1D6929E95937287FA37D129B756746"),
        (16, "070A16B46B4D4144F79BDD9DD04A287C"),
        (40, "DFA66747DE9AE63030CA32611497C827"),
    ],
)
def test_aes_cmac_of_rfc_4493(host: Any, length: int, mac: str) -> None:
    """Algorithm 6 under an AES key: cut to 8, 16 or all 32 characters."""
    key = block(host, NIST_AES, "A1", "M6")
    common = request(algorithm="6", key_type="FFF", key=key, message=NIST_DATA[:length])

    for size, width in (("0", 8), ("1", 16), ("2", 32)):
        answer = host.ask("M6", **(common | {"mac_size": size}))
        assert answer == ("00", {"mac": mac[:width]})


@pytest.mark.parametrize(
    ("length", "mac"),
    [(0, "B7A688E122FFAF95"), (8, "8E8F293136283797"), (20, "743DDBE0CE2DC2ED")],
)
def test_tdes_cmac_of_sp_800_38b(host: Any, length: int, mac: str) -> None:
    """Algorithm 6 under a triple-length key of NIST's example."""
    clear = primitives.odd_parity(bytes.fromhex(NIST_TDES)).hex()
    key = host.lmk.wrap("008", "T", bytes.fromhex(clear))
    common = request(algorithm="6", key_type="008", key=key, message=NIST_DATA[:length])

    assert host.ask("M6", **common) == ("00", {"mac": mac})


def test_GW_of_a_real_device(host: Any) -> None:
    """Made and checked: BDK and answer of a public client's example, data zero-padded."""
    head = BDK_BLOCK.encode() + b"A05FFFF0000000000000000"

    assert host.raw(b"0001GW41" + head + b"0005\xab\xcd\xef\x12\x34%01") == (
        b"0001GX003E3DEE3DC52E53ED"
    )
    claimed = b"3E3DEE3DC52E53ED0005\xab\xcd\xef\x12\x34%01"
    assert host.raw(b"0001GW11" + head + claimed) == b"0001GX00"
    assert host.raw(b"0001GW11" + head + claimed.replace(b"ED0", b"EE0")) == b"0001GX01"


@pytest.mark.parametrize(
    ("code", "name"),
    [("01", "sha1"), ("02", "md5"), ("05", "sha224"), ("06", "sha256"), ("07", "sha384"),
     ("08", "sha512"), ("20", "sm3")],
)  # fmt: skip
def test_GM_hashes(host: Any, code: str, name: str) -> None:
    """The binary hash of binary data behind a length of five digits."""
    data = b"The quick brown fox jumps over the lazy dog"
    expected = primitives.sm3(data) if name == "sm3" else hashlib.new(name, data).digest()

    assert host.raw(b"0001GM" + code.encode() + b"00043" + data) == b"0001GN00" + expected
    assert host.raw(b"0001GM" + code.encode() + b"00044" + data) == b"0001GN80"
    assert host.raw(b"0001GM0300043" + data) == b"0001GN05"


def test_GM_answers_of_a_real_device(host: Any) -> None:
    """SHA-256 and SHA-1 as a public client's tests have them."""
    for frame, digest in (
        (b"0600016" + bytes.fromhex("77338F74A19E3BB39062A5A479473FC8"),
         "68ebb852b948d5a06f1f309580d3ebd85c5f8697b4b42c5656584a37a2ddb96c"),
        (b"0100017some data to hash", "3d22ca807ad75c9ff3ca07c4e6c396b7d99f7206"),
    ):  # fmt: skip
        assert host.raw(b"0001GM" + frame) == b"0001GN00" + bytes.fromhex(digest)


# ---- other implementations ----------------------------------------------------------------------

messages = st.binary(min_size=1, max_size=70)
many = settings(
    deadline=None,
    max_examples=40,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


# psec still imports triple DES from where it used to be, and gives it single keys.
@pytest.mark.filterwarnings("ignore::cryptography.utils.CryptographyDeprecationWarning")
@many
@given(message=messages, padding=st.sampled_from([1, 2, 3]))
def test_M6_is_what_psec_makes(host: Any, message: bytes, padding: int) -> None:
    """ISO 9797-1 algorithm 1 (single key) and 3, paddings 1, 2 and 3."""
    double, single = bytes.fromhex(KEY), bytes.fromhex(SINGLE)
    common = request(padding=str(padding), message=message)
    x919 = psec.mac.generate_retail_mac(double[:8], double[8:], message, padding)
    cbc = psec.mac.generate_cbc_mac(single, message, padding)

    assert host.ask("M6", key=host.wrap("003", KEY), **(common | {"algorithm": "3"}))[1] == {
        "mac": x919.hex().upper()
    }
    assert host.ask("M6", key=host.wrap("003", SINGLE), **common)[1] == {"mac": cbc.hex().upper()}


@many
@given(message=st.binary(max_size=70))
def test_cmac_is_what_cryptography_makes(host: Any, message: bytes) -> None:
    """Under AES-256 and SM4."""
    for clear, algorithm, cipher in ((NIST_AES * 2, "A3", AES), (NIST_AES, "41", SM4)):
        oracle = CMAC(cipher(bytes.fromhex(clear)))
        oracle.update(message)
        key = block(host, clear, algorithm)
        common = request(algorithm="6", mac_size="2", key_type="FFF", key=key, message=message)

        assert host.ask("M6", **common)[1] == {"mac": oracle.finalize().hex().upper()}


# ---- what must hold of any MAC ------------------------------------------------------------------

KEYS: list[tuple[str, str, str]] = [
    ("1", SINGLE, ""), ("1", KEY, ""), ("1", TRIPLE, ""), ("3", KEY, ""), ("3", TRIPLE, ""),
    ("6", KEY, ""), ("1", NIST_AES, "A1"), ("6", NIST_AES, "A1"), ("1", NIST_AES, "41"),
    ("6", NIST_AES, "41"),
]  # fmt: skip
"""Algorithm, key, and its name in a key block, or none: a TAK of the variant LMK."""


@pytest.mark.parametrize(("algorithm", "clear", "name"), KEYS)
def test_a_message_in_parts_has_the_mac_of_the_whole(
    host: Any, algorithm: str, clear: str, name: str
) -> None:
    """Modes 1, 2, 3 with the chain handed on give what mode 0 gives; M8 takes it in parts too."""
    key = block(host, clear, name) if name else host.wrap("003", clear)
    whole = bytes(range(101))
    common = request(algorithm=algorithm, key_type="FFF" if name else "003", key=key)
    _, expected = host.ask("M6", **(common | {"message": whole}))

    _, one = host.ask("M6", **(common | {"mode": "1", "message": whole[:32]}))
    middle = common | {"mode": "2", "iv": one["chain"], "message": whole[32:64]}
    _, two = host.ask("M6", **middle)
    last = common | {"mode": "3", "iv": two["chain"], "message": whole[64:]}

    assert host.ask("M8", **middle) == ("00", {"chain": two["chain"]})
    assert host.ask("M6", **last)[1] == expected
    assert host.ask("M8", **last, mac=expected["mac"])[0] == "00"


@many
@given(message=messages, which=st.sampled_from(KEYS), data=st.data())
def test_I10_one_wrong_bit_is_refused(
    host: Any, message: bytes, which: tuple[str, str, str], data: st.DataObject
) -> None:
    """M8 takes what M6 made, and nothing that differs in one bit of message or MAC."""
    algorithm, clear, name = which
    key = block(host, clear, name) if name else host.wrap("003", clear)
    common = request(algorithm=algorithm, padding="2", key=key, message=message)
    common["key_type"] = "FFF" if name else "003"
    mac = host.ask("M6", **common)[1]["mac"]
    bit = data.draw(st.integers(0, 8 * len(message) - 1))
    other = (int.from_bytes(message, "big") ^ 1 << bit).to_bytes(len(message), "big")
    wrong = f"{int(mac, 16) ^ 1 << data.draw(st.integers(0, 63)):016X}"

    assert host.ask("M8", **common, mac=mac)[0] == "00"
    assert host.ask("M8", **(common | {"message": other}), mac=mac)[0] == "01"
    assert host.ask("M8", **common, mac=wrong)[0] == "01"


# ---- refusals -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("flags", "error"),
    [
        (b"40011003", b"02"),
        (b"03011003", b"03"),
        (b"00041003", b"15"),
        (b"00001003", b"04"),
        (b"00081003", b"04"),
        (b"00014003", b"09"),
        (b"00011999", b"05"),
        (b"00011001", b"28"),
        (b"00011002", b"28"),
        (b"0001100B", b"28"),
    ],
)
def test_M6_names_the_flag_at_fault(host: Any, flags: bytes, error: bytes) -> None:
    """Mode 02, input form 03, algorithm 04, padding 09, unknown type 05; a type for other work is
    28."""
    flags = b"00301003" if error == b"15" else flags
    key = str(host.wrap("003", KEY)).encode()

    assert host.raw(b"0001M6" + flags + key + b"000812345678") == b"0001M7" + error


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"padding": "3", "mode": "1"}, "09"),
        ({"padding": "3", "mode": "3", "iv": "0" * 16}, "09"),
        ({"algorithm": "6", "mode": "1", "message": b"seven.."}, "80"),
        ({"algorithm": "6", "mode": "3", "iv": "0" * 16, "message": b""}, "80"),
        ({"mac_size": "2"}, "15"),
        ({"algorithm": "9"}, "A7"),
        ({"algorithm": "2"}, "04"),
    ],
)
def test_M6_refuses(host: Any, changed: dict[str, Any], error: str) -> None:
    """What cannot be done with this key or in parts."""
    assert host.ask("M6", key=host.wrap("003", KEY), **request(**changed))[0] == error


def test_key_blocks_are_held_to_their_header(host: Any) -> None:
    """A6 for another usage, A8 for a key that may only verify, A7 for X9.19 under AES."""
    common = request(key_type="FFF")

    assert host.ask("M6", key=block(host, KEY, "T2", "P0", "E"), **common)[0] == "A6"
    assert host.ask("M6", key=block(host, KEY, "T2", "M1", "V"), **common)[0] == "A8"
    assert host.ask("M8", key=block(host, KEY, "T2", "M1", "G"), mac="0" * 16, **common)[0] == "A8"
    x919 = request(key_type="FFF", algorithm="3", message=bytes(16))
    assert host.ask("M6", key=block(host, NIST_AES, "A1"), **x919)[0] == "A7"


def test_GW_refuses(host: Any) -> None:
    """02 for another mode, 03 for another method, 81 for no data, 10 and A6 for no BDK."""
    bdk = str(host.wrap("009", KEY)).encode()
    ksn = b"A05FFFF9876543210E00001"

    assert host.raw(b"0001GW71" + bdk + ksn + b"0001x") == b"0001GX02"
    assert host.raw(b"0001GW42" + bdk + ksn + b"0001x") == b"0001GX03"
    assert host.raw(b"0001GW41" + bdk + ksn + b"0000") == b"0001GX81"
    wrong = str(host.wrap("001", KEY)).encode()
    assert host.raw(b"0001GW41" + wrong + ksn + b"0001x") == b"0001GX10"


# ---- under a TAK, to the end of the data --------------------------------------------------------


def test_MA_MC_ME(host: Any) -> None:
    """What MA makes MC takes, and ME makes again under another TAK."""
    one, two = str(host.wrap("003", SINGLE)).encode(), str(host.wrap("003", KEY)).encode()
    data = b"givemeSOMEMACing"
    x99 = primitives.cbc_mac(bytes.fromhex(SINGLE), data)[:4].hex().upper().encode()
    x919 = primitives.retail_mac(bytes.fromhex(KEY), data)[:4].hex().upper().encode()

    assert host.raw(b"0001MA" + one + data) == b"0001MB00" + x99
    assert host.raw(b"0001MA" + two + data) == b"0001MB00" + x919
    assert host.raw(b"0001MC" + one + x99 + data) == b"0001MD00"
    assert host.raw(b"0001MC" + one + x99 + data[:-1] + b"G") == b"0001MD01"
    assert host.raw(b"0001ME" + one + two + x99 + data) == b"0001MF00" + x919
    assert host.raw(b"0001ME" + one + two + x919 + data) == b"0001MF01"


def test_data_to_the_end_leaves_the_tail(host: Any) -> None:
    """``%NN`` and a trailer behind the data are not data; the data is zero-padded."""
    tak = str(host.wrap("003", SINGLE)).encode()
    mac = host.raw(b"0001MA" + tak + b"abc")

    assert host.raw(b"0001MA" + tak + b"abc%00") == mac
    assert host.raw(b"0001MA" + tak + b"abc%00\x19tail") == mac + b"\x19tail"
    assert host.raw(b"0001MA" + tak + b"abc\x19tail") == mac + b"\x19tail"
    assert host.raw(b"0001MA" + tak + b"abc%07") == b"0001MB13"
    assert host.raw(b"0001MA" + tak) == b"0001MB80"
    bad = b"0" * 16
    assert host.raw(b"0001ME" + tak + bad + b"00000000abc") == b"0001MF11"


# ---- SM4 ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("knobs", "form"),
    [
        (Sm4Mac(), "folded"),
        (Sm4Mac(block="chained", padding=1, length_bytes=16), "chained"),
        (Sm4Mac(block="chained", padding=2, length_bytes=4), "chained"),
    ],
)
def test_sm4_mac_by_the_banks_knobs(
    make_host: Callable[[Policy], Any], knobs: Sm4Mac, form: str
) -> None:
    """Block, padding and truncation of algorithm 9 come from the profile; a MAC size beyond the
    truncation is refused."""
    host = make_host(Policy(profile=Profile(sm4_mac=knobs)))
    key, message = bytes.fromhex(NIST_AES), b"0200 this is a message of the bank"
    padded = primitives.pad(message, knobs.padding, 16)
    if form == "folded":
        padded = primitives.folded(padded, 16)
    chain = bytes(16)
    for at in range(0, len(padded), 16):
        chain = primitives.sm4_encrypt(key, primitives.xor(chain, padded[at : at + 16]))
    expected = chain[: knobs.length_bytes].hex().upper()
    common = request(
        algorithm="9", key_type="FFF", key=block(host, NIST_AES, "41"), message=message
    )

    for size, width in (("0", 8), ("1", 16), ("2", 32)):
        error, fields = host.ask("M6", **(common | {"mac_size": size}))
        if width > len(expected):
            assert error == "15"
        else:
            assert (error, fields) == ("00", {"mac": expected[:width]})


def test_the_switch_folds_and_M6_finishes_with_sm4(host: Any) -> None:
    """Algorithm 1 over the 32 folded characters is algorithm 9 over the message."""
    key, message = block(host, NIST_AES, "41"), b"0200 this is a message of the bank"
    own = request(algorithm="9", key_type="FFF", key=key, message=message)
    halves = request(key_type="FFF", key=key, form="2", message=primitives.folded(message, 16))

    assert host.ask("M6", **own) == host.ask("M6", **halves)


def test_GW_of_the_standards_example(host: Any) -> None:
    """ANSI X9.24-1:2009, A.4: the request MAC of the first payment; modes 5 and 6 give half."""
    bdk = str(host.wrap("009", KEY)).encode()
    body = bdk + b"A05FFFF9876543210E00001" + b"00114012345678909D987"

    assert host.raw(b"0001GW41" + body) == b"0001GX009CCC78173FC4FB64"
    assert host.raw(b"0001GW51" + body) == b"0001GX009CCC7817"
