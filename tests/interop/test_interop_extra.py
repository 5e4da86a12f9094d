"""DUKPT initial keys, LMK translation, SM4, and frames that nobody should send."""

import random

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from tests.interop import oracle
from tests.interop.host import Host
from tests.interop.oracle import (
    KEY_A,
    KEY_B,
    KEY_C,
    SINGLE_B,
    TRIPLE,
    from_s_block,
    kcv,
    lmk,
    odd,
    s_block,
    xor,
)
from tests.interop.test_interop_published import T_EXCHANGES, U_EXCHANGES

ACCOUNT = "550000025321"
SM4_KEY = bytes.fromhex("0123456789ABCDEFFEDCBA9876543210")
SM4_KEY_2 = bytes.fromhex("89ABCDEF01234567FEDCBA9876543210")


@pytest.mark.parametrize("ksn", ["FFFF9876543210E", "FFFF00000131524", "0123456789ABCDE"])
@pytest.mark.parametrize("bdk", [KEY_A, KEY_C], ids=["A", "C"])
def test_derived_initial_key(host: Host, bdk: bytes, ksn: str) -> None:
    """A0 modes A and B (U layout): the initial key of X9.24-1 as type 302, parity set."""
    head = f"302U01{lmk('009', bdk)}{ksn}"
    initial = oracle.ipek(bdk, bytes.fromhex(ksn + "00000"))
    held = lmk("302", odd(initial))
    assert host.fields(f"A0A{head}") == held + kcv(initial)
    text = host.fields(f"A0B{head};0{lmk('000', KEY_B)}U")
    assert text == held + oracle.zmk(KEY_B, odd(initial), "U") + kcv(initial)


@pytest.mark.parametrize("kind", ["000", "001", "002", "003", "008", "009", "00A", "00B", "402"])
@pytest.mark.parametrize("form", ["pair", "type"])
def test_lmk_translation_keeps_the_key(host: Host, kind: str, form: str) -> None:
    """BW: where old and new LMK are the same, the key comes back; ';0U0!11' asks for its check."""
    held = lmk(kind, KEY_B)
    if form == "pair":
        if kind[0] == "0":
            assert host.fields(f"BW{kind[1:]}1{held}") == held
        return
    assert host.fields(f"BWFF1{held};{kind};0U0!11") == held + kcv(KEY_B)


@pytest.mark.parametrize("lmk_id", ["01", "02"])
def test_lmk_translation_of_a_block(host: Host, lmk_id: str) -> None:
    """BW FF F (U): the block keeps header and key."""
    text = host.fields(f"BWFFF{s_block(KEY_B, 'M3TC00E00', lmk_id)};FFF;0S0!11")
    length = int(text[2:6]) + 1
    header, key = from_s_block(text[:length])
    assert (header[5:9], key, text[length:]) == ("M3TC", KEY_B, kcv(KEY_B))


def sm4(key: bytes, data: bytes, iv: bytes | None = None) -> bytes:
    """SM4: ECB, or CBC when there is an IV."""
    cipher = Cipher(algorithms.SM4(key), modes.ECB() if iv is None else modes.CBC(iv))
    step = cipher.encryptor()
    return step.update(data) + step.finalize()


def sm4_block(usage: str, key: bytes = SM4_KEY) -> str:
    """An SM4 key under LMK 02: algorithm letter 4."""
    return s_block(key, f"{usage[:2]}4{usage[2]}00E00", "02")


def test_sm4_of_the_standard(host: Host) -> None:
    """H row 7: GB/T 32907 A.1 through M0; check value = SM4 of zeros (3.3)."""
    text = SM4_KEY.hex().upper()
    assert host.fields(f"M00011FFF{sm4_block('D0B')}0020{text}") == (
        "0020681EDF34D206965E86B3E94F536E4246"
    )
    assert (
        host.fields(f"BUFFF{sm4_block('D0B')};FFF;001") == sm4(SM4_KEY, bytes(16)).hex()[:6].upper()
    )


@pytest.mark.parametrize("length", [16, 32, 160])
def test_sm4_data(host: Host, length: int) -> None:
    """M0 and M2, ECB and CBC (IV 32H)."""
    data, iv = bytes(range(length)), bytes(range(100, 116))
    for mode, secret in (("00", sm4(SM4_KEY, data)), ("01", sm4(SM4_KEY, data, iv))):
        start = f"{mode}11FFF{sm4_block('D0B')}{iv.hex().upper() if mode == '01' else ''}"
        plain, hidden = (f"{2 * length:04X}{part.hex().upper()}" for part in (data, secret))
        chain = secret[-16:].hex().upper() if mode == "01" else ""
        assert host.fields(f"M0{start}{plain}") == chain + hidden
        assert host.fields(f"M2{start}{hidden}") == chain + plain


@pytest.mark.parametrize("length", [1, 16, 33, 300])
def test_sm4_macs(host: Host, length: int) -> None:
    """M6: algorithm 1 is SM4-CBC-MAC, 9 the UnionPay style: fold, 32 characters, CBC-MAC."""
    data = bytes((i * 11 + 5) & 255 for i in range(length))
    padded = data + bytes(-len(data) % 16)
    folded = bytes(16)
    for at in range(0, len(padded), 16):
        folded = xor(folded, padded[at : at + 16])
    expected = {
        "1": sm4(SM4_KEY, padded, bytes(16))[-16:],
        "9": sm4(SM4_KEY, folded.hex().upper().encode(), bytes(16))[-16:],
    }
    for algorithm, mac in expected.items():
        head = f"M6001{algorithm}1FFF{sm4_block('M3C')}{length:04X}".encode()
        assert host.fields(head + data) == mac.hex().upper()[:16]


@pytest.mark.parametrize("pin", ["1234", "123456", "999999999999"])
def test_sm4_pin_block(host: Host, pin: str) -> None:
    """CC with code 91 (3.3): length, PIN, F to 16 bytes, XOR zeros and account; 32H."""

    def block(key: bytes) -> str:
        field = bytes.fromhex(f"{len(pin):02X}{pin}".ljust(32, "F"))
        return sm4(key, xor(field, bytes.fromhex("0" * 20 + ACCOUNT))).hex().upper()

    first, second = sm4_block("P0B"), sm4_block("P0B", SM4_KEY_2)
    text = host.fields(f"CC{first}{second}12{block(SM4_KEY)}9191{ACCOUNT}")
    assert text == f"{len(pin):02d}{block(SM4_KEY_2)}91"
    des = s_block(KEY_B, "P0TB00E00", "02")
    text = host.fields(f"CC{first}{des}12{block(SM4_KEY)}9101{ACCOUNT}")
    expected = oracle.tdes(KEY_B, oracle.pin_block("01", pin, ACCOUNT)).hex().upper()
    assert text == f"{len(pin):02d}{expected}01"
    clear = oracle.tdes(KEY_B, oracle.pin_block("01", pin, ACCOUNT)).hex().upper()
    assert host.fields(f"CC{des}{first}12{clear}0191{ACCOUNT}")[2:34] == block(SM4_KEY)


SEEDS = [pair[0] for pair in (*T_EXCHANGES.values(), *U_EXCHANGES.values())] + [
    f"A01001U;0{lmk('000', KEY_C)}U",
    "A00FFFS%02#P0T2B00N00",
    f"A42000U{lmk('000', KEY_A)}{lmk('000', KEY_B)}",
    f"M400011100B{lmk('00B', KEY_A)}00B{lmk('00B', KEY_B)}00101234567890ABCDEF",
    f"MS0010{lmk('003', SINGLE_B)}0008abcdefgh",
    f"GW41{lmk('009', KEY_A)}605FFFF9876543210E000010008abcdefgh",
    f"KQ00{lmk('109', KEY_A)}12345678AB12340812345678;12345678",
    f"KW02{lmk('109', KEY_A)}12345678AB0812345678;12345678",
    f"A8001{lmk('000', odd(TRIPLE))}{lmk('001', odd(TRIPLE))}T",
    f"G0{lmk('009', KEY_A)}{lmk('001', KEY_B)}605FFFF9876543210E000011B9C1845EB993A7A0101{ACCOUNT}",
    f"DE{lmk('002', KEY_A)}0123404{ACCOUNT}01234567890123454000001234N6",
]


def broken(rng: random.Random, frame: bytes) -> bytes:
    """One random injury after the command code."""
    body = bytearray(frame)
    at = rng.randrange(2, len(body))
    kind = rng.randrange(5)
    if kind == 0:
        body[at] = rng.randrange(256)
    elif kind == 1:
        del body[at : at + rng.randrange(1, 9)]
    elif kind == 2:
        body[at:at] = rng.randbytes(rng.randrange(1, 9))
    elif kind == 3:
        del body[at:]
    else:
        body += rng.choice([b"%01", b"%02", b"#P0T2B00N00", b"&N", b"!P0T2B00N00", b";;", b"\x19"])
    return bytes(body)


@pytest.mark.parametrize("seed", range(20))
def test_injured_frames_never_hurt_the_service(host: Host, seed: int) -> None:
    """Two hundred injured requests: an answer to each, never 41, and the line stays in step."""
    rng = random.Random(seed)
    for _ in range(200):
        frame = broken(rng, rng.choice(SEEDS).encode("latin-1"))
        answer = host.ask(frame)
        assert answer.error != "41", frame
        assert answer.error.isalnum(), frame
    assert host.fields("B20004ping") == "ping"


@pytest.mark.parametrize(
    ("request_", "error"),
    [
        (f"A8001{lmk('000', KEY_C)}{lmk('001', odd(TRIPLE))}T", "27"),
        (f"A01001T;0{lmk('000', KEY_C)}T", "27"),
        (f"A8FFF{s_block(KEY_C, 'K0TB00E00', '02')}{s_block(SM4_KEY, 'P0AB00E00', '02')}S", "27"),
    ],
    ids=["triple under double", "generated triple under double", "AES under 3DES"],
)
def test_export_under_a_weaker_key_is_refused(host: Host, request_: str, error: str) -> None:
    """Row 14 of the norms: a key leaves only under a ZMK that is at least as strong."""
    assert host.ask(request_).error == error


def test_many_wrong_verifications_stay_01(host: Host) -> None:
    """With test LMKs there is no rate limit: two hundred wrong MACs are two hundred times 01."""
    frame = f"M802031008{lmk('008', KEY_C)}0004ABCD00000000"
    assert {host.ask(frame).error for _ in range(200)} == {"01"}


@pytest.mark.parametrize("usage", ["52TB", "51TB", "K0TB"])
def test_zmk_usages_of_the_device(host: Host, usage: str) -> None:
    """U: a ZMK block may say 52 (ZMK) or 51 (TMK) as well as K0."""
    zmk = s_block(KEY_C, f"{usage}00E00", "01")
    arriving = s_block(KEY_B, "P0TB00E00", "FF", wrapping=KEY_C, aes_wrap=False)
    text = host.fields(f"A6FFF{zmk}{arriving}S%01")
    assert from_s_block(text[:-6])[1] == KEY_B


@pytest.mark.parametrize(
    ("usage", "commands"), [("71", {"CA", "JC"}), ("72", {"CC", "JE"}), ("P0", None)]
)
def test_pin_key_usages_of_the_device(host: Host, usage: str, commands: set[str] | None) -> None:
    """71 is a terminal's PIN key, 72 a zone's, P0 either."""
    first, second = s_block(KEY_A, f"{usage}TB00E00"), s_block(KEY_B, "P0TB00E00")
    block = oracle.tdes(KEY_A, oracle.pin_block("01", "1234", ACCOUNT)).hex().upper()
    for command in ("CA", "CC"):
        error = host.ask(f"{command}{first}{second}12{block}0101{ACCOUNT}").error
        assert error == ("00" if commands is None or command in commands else "A6")
    for command in ("JC", "JE"):
        error = host.ask(f"{command}{first}{block}01{ACCOUNT}").error
        assert error == ("00" if commands is None or command in commands else "A6")
