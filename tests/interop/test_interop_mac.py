"""MACs: M6 and M8, MA, MC, ME, MS, the UnionPay MAC, CMAC, DUKPT MACs."""

import pytest

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
    ZEROS,
    cbc_mac,
    cmac,
    lmk,
    odd,
    padded,
    retail_mac,
    s_block,
    xor,
)

KEYS = {"single": SINGLE_B, "double": KEY_B, "triple": odd(TRIPLE)}
BAD = bytes([KEY_A[0] ^ 1]) + KEY_A[1:]
MESSAGES = [b"", b"1234567", b"12345678", b"Now is the time for all ", b"x" * 300]


def mac_of(algorithm: str, key: bytes, data: bytes, iv: bytes = ZEROS) -> bytes:
    """Over padded data."""
    return (cbc_mac if algorithm == "1" else retail_mac)(key, data, iv)


def sent(form: str, data: bytes) -> bytes:
    """Length and message; hex input counts characters (trap of M6/M8)."""
    body = data.hex().upper().encode() if form == "1" else data
    return b"%04X" % len(body) + body


VECTORS = [
    (algorithm, padding, name, data)
    for algorithm in "13"
    for padding in (0, 1, 2, 3)
    for name in KEYS
    for data in MESSAGES
    if data and (padding or len(data) % 8 == 0) and (algorithm, name) != ("3", "single")
]


@pytest.mark.parametrize(
    ("algorithm", "padding", "name", "data"),
    VECTORS,
    ids=lambda value: len(value) if isinstance(value, bytes) else value,
)
def test_mac(host: Host, algorithm: str, padding: int, name: str, data: bytes) -> None:
    """M6 and M8, mode 0: both sizes, all input formats, TAK and ZAK; one flipped bit is 01."""
    key = KEYS[name]
    full = mac_of(algorithm, key, padded(data, padding)).hex().upper()
    for kind, form, size in (
        ("003", "0", "0"),
        ("008", "1", "1"),
        ("003", "2", "1"),
        ("008", "0", "0"),
    ):
        head = f"0{form}{size}{algorithm}{padding}{kind}{lmk(kind, key)}".encode()
        mac = full[: 16 if size == "1" else 8]
        assert host.fields(b"M6" + head + sent(form, data)) == mac
        assert host.ask(b"M8" + head + sent(form, data) + mac.encode()).error == "00"
        flipped = f"{int(mac, 16) ^ 1:0{len(mac)}X}".encode()
        assert host.ask(b"M8" + head + sent(form, data) + flipped).error == "01"


def test_retail_mac_needs_two_keys(host: Host) -> None:
    """Algorithm 3 with a single-length key: 27, as ISO 9797-1 asks for two keys."""
    assert host.ask(f"M602031008{lmk('008', SINGLE_B)}0004ABCD").error == "27"


@pytest.mark.parametrize("data", [bytes(range(256)), b"\x19inside%00", b"a;b#c!d&e%01", b"\0" * 8])
@pytest.mark.parametrize("tail", [b"", b"%00", b"\x19end", b"%00\x19end"])
def test_mac_over_any_bytes(host: Host, data: bytes, tail: bytes) -> None:
    """Binary input: the length says where the message ends, whatever stands in it."""
    head = f"00131008{lmk('008', KEY_B)}".encode()
    answer = host.ask(b"M6" + head + sent("0", data) + tail)
    mac = retail_mac(KEY_B, padded(data, 1)).hex().upper().encode()
    trailer = tail[tail.index(b"\x19") :] if b"\x19" in tail else b""
    assert (answer.error, answer.rest) == ("00", mac + trailer)


@pytest.mark.parametrize("form", "012")
@pytest.mark.parametrize("algorithm", "13")
@pytest.mark.parametrize("name", KEYS)
@pytest.mark.parametrize("cuts", [(8, 16), (16, 24), (8, 40)])
def test_mac_in_parts(
    host: Host, name: str, algorithm: str, form: str, cuts: tuple[int, int]
) -> None:
    """Modes 1, 2, 3 with the chain handed on equal mode 0 over the whole."""
    if (algorithm, name) == ("3", "single"):
        name = "double"
    data = b"The quick brown fox jumps over the lazy dog 0123456789"
    key = lmk("008", KEYS[name])
    head = f"{form}1{algorithm}1008{key}".encode()
    first, middle, last = data[: cuts[0]], data[cuts[0] : cuts[1]], data[cuts[1] :]
    chain = host.fields(b"M61" + head + sent(form, first))[:16].encode()
    chain = host.fields(b"M62" + head + chain + sent(form, middle))[:16].encode()
    mac = host.fields(b"M63" + head + chain + sent(form, last))
    whole = mac_of(algorithm, KEYS[name], padded(data, 1)).hex().upper()
    assert mac == whole == host.fields(b"M60" + head + sent(form, data))
    assert host.ask(b"M83" + head + chain + sent(form, last) + mac.encode()).error == "00"


@pytest.mark.parametrize("algorithm", "13")
def test_first_chain_is_the_cbc_state(host: Host, algorithm: str) -> None:
    """M6 mode 1: the 16H before anything else is the chaining value of the first part."""
    answer = host.fields(f"M610{1}{algorithm}1008{lmk('008', KEY_B)}001012345678ABCDEFGH")
    data = b"12345678ABCDEFGH"
    state = cbc_mac(KEY_B, data) if algorithm == "1" else cbc_mac(KEY_B[:8], data)
    assert answer[:16] == state.hex().upper()


@pytest.mark.parametrize("name", ["single", "double"])
@pytest.mark.parametrize("kind", ["003", "008"])
@pytest.mark.parametrize("length", [1, 8, 17, 200, 300])
def test_unionpay_mac(host: Host, kind: str, name: str, length: int) -> None:
    """3.1: fold, write as 16 hex characters, M6 algorithm 1 in text; field 64 = 8 characters."""
    message = bytes((i * 7 + 3) & 255 for i in range(length))
    folded = ZEROS
    for at in range(0, length, 8):
        folded = xor(folded, message[at : at + 8].ljust(8, b"\0"))
    text, key = folded.hex().upper(), KEYS[name]
    once = oracle.tdes(key, text[:8].encode())
    field_64 = oracle.tdes(key, xor(once, text[8:].encode())).hex().upper()[:8]
    head = f"02011{kind}{lmk(kind, key)}0010{text}"
    assert host.fields("M6" + head) == field_64
    assert host.ask(f"M8{head}{field_64}").error == "00"


@pytest.mark.parametrize(
    ("request_", "error"),
    [
        (f"M602131003{lmk('003', BAD)}0004ABCD", "10"),
        (f"M602131003{lmk('008', KEY_A)}0004ABCD", "10"),
        (f"M602131001{lmk('001', KEY_A)}0004ABCD", "28|29|05|04"),
        (f"M602131000{lmk('000', KEY_A)}0004ABCD", "28|29|05|04"),
        (f"M602131ZZZ{lmk('003', KEY_A)}0004ABCD", "04|05"),
        (f"M602131003{lmk('003', KEY_A)}0008ABCD", "15|80|06"),
        (f"M602131003{lmk('003', KEY_A)}0002ABCD", "15|80"),
        (f"M601131003{lmk('003', KEY_A)}0004ABCX", "15"),
        (f"M601131003{lmk('003', KEY_A)}0003ABC", "15|80|06"),
        (f"M692131003{lmk('003', KEY_A)}0004ABCD", "02|15"),
        (f"M609131003{lmk('003', KEY_A)}0004ABCD", "03|15"),
        (f"M602141003{lmk('003', KEY_A)}0004ABCD", "04|15"),
        (f"M602139003{lmk('003', KEY_A)}0004ABCD", "09|15"),
        (f"M802131003{lmk('003', KEY_A)}0004ABCD", "15"),
        (f"M802131003{lmk('003', KEY_A)}0004ABCD1234567", "15"),
        (f"M602131003{lmk('003', KEY_A)}0004ABCD%55", "13"),
    ],
)
def test_mac_refuses(host: Host, request_: str, error: str) -> None:
    """M6, M8: parity 10, foreign types, lengths, bad flags (U gives 02-09 for flags, or 15)."""
    assert host.ask(request_).error in error.split("|")


@pytest.mark.parametrize("data", [*MESSAGES[1:], bytes(range(1, 250))], ids=len)
@pytest.mark.parametrize("name", ["single", "double"])
def test_mac_of_ma(host: Host, name: str, data: bytes) -> None:
    """MA, MC, ME: X9.9 (single) or X9.19 (double), data to the end, 8 hex digits."""
    key, other = KEYS[name], lmk("003", SINGLE)
    tak = lmk("003", key).encode()
    mac = retail_mac(key, padded(data, 1)).hex().upper()[:8].encode()
    assert host.ask(b"MA" + tak + data).rest == mac
    assert host.ask(b"MC" + tak + mac + data).error == "00"
    assert host.ask(b"MC" + tak + mac + data + b"!").error == "01"
    moved = host.ask(b"ME" + tak + other.encode() + mac + data)
    assert moved.rest == retail_mac(SINGLE, padded(data, 1)).hex().upper()[:8].encode()
    assert host.ask(b"ME" + tak + other.encode() + b"00000000" + data).error == "01"
    assert host.ask(b"MA" + lmk("003", BAD).encode() + data).error == "10"
    wrong = host.ask(b"ME" + tak + lmk("003", BAD).encode() + mac + data)
    assert wrong.error == "11"


@pytest.mark.parametrize("form", "01")
@pytest.mark.parametrize("kind", "01")
@pytest.mark.parametrize("flag", "012")
@pytest.mark.parametrize("data", [b"12345678", b"givemeSOMEMACing", b"x" * 100], ids=len)
def test_mab(host: Host, flag: str, kind: str, form: str, data: bytes) -> None:
    """MS: the whole message in one block; hex input counts bytes (2.11); MAB 16H."""
    key = [SINGLE_B, KEY_B, odd(TRIPLE)][int(flag)]
    field = lmk("003" if kind == "0" else "008", key)
    body = data.hex().upper().encode() if form == "1" else data
    answer = host.ask(f"MS0{kind}{flag}{form}{field}{len(data):04X}".encode() + body)
    expected = retail_mac(key, padded(data, 1)).hex().upper()
    assert (answer.error, answer.text) == ("00", expected)


@pytest.mark.parametrize("form", "01")
@pytest.mark.parametrize("flag", "01")
def test_mab_in_blocks(host: Host, flag: str, form: str) -> None:
    """MS 1, 2, 3: the answer of each block is the IV of the next; the last is the MAB."""
    key = [SINGLE_B, KEY_B][int(flag)]
    data = b"The quick brown fox jumps over the lazy dog."
    head = f"1{flag}{form}{lmk('008', key)}".encode()
    chain = b""
    for number, part in ((b"1", data[:16]), (b"2", data[16:32]), (b"3", data[32:])):
        body = part.hex().upper().encode() if form == "1" else part
        chain = host.ask(b"MS" + number + head + chain + b"%04X" % len(part) + body).rest
    assert chain.decode() == retail_mac(key, padded(data, 1)).hex().upper()


AES_KEYS = {"128": AES_128, "256": AES_256}


@pytest.mark.parametrize("bits", AES_KEYS)
@pytest.mark.parametrize("data", MESSAGES[1:], ids=len)
@pytest.mark.parametrize("suffix", [b"", b"%02"])
def test_aes_cmac(host: Host, bits: str, data: bytes, suffix: bytes) -> None:
    """M6, M8 algorithm 6 under LMK 02: AES-CMAC, its first 4 or 8 bytes."""
    block = s_block(AES_KEYS[bits], "M6AN00E00", "02")
    full = cmac(AES_KEYS[bits], data).hex().upper()
    for size, digits in (("0", 8), ("1", 16)):
        head = f"00{size}60FFF{block}".encode()
        assert host.fields(b"M6" + head + sent("0", data) + suffix) == full[:digits]
        check = b"M8" + head + sent("0", data) + full[:digits].encode() + suffix
        assert host.ask(check).error == "00"


def test_aes_cmac_of_rfc_4493(host: Host) -> None:
    """H row 9: 070A16B46B4D4144F79BDD9DD04A287C."""
    block = s_block(AES_128, "M6AN00E00", "02")
    data = "6BC1BEE22E409F96E93D7E117393172A"
    assert host.fields(f"M601160FFF{block}0020{data}") == "070A16B46B4D4144"


@pytest.mark.parametrize("data", MESSAGES[1:], ids=len)
def test_tdes_cmac(host: Host, data: bytes) -> None:
    """M6 algorithm 6 with a double-length ZAK: TDES-CMAC (NIST SP 800-38B)."""
    head = f"00160008{lmk('008', KEY_B)}".encode()
    expected = cmac(KEY_B, data, "tdes").hex().upper()
    assert host.fields(b"M6" + head + sent("0", data)) == expected


@pytest.mark.parametrize(("usage", "algorithm"), [("M1", "1"), ("M3", "3")])
@pytest.mark.parametrize("mode", "CGVN")
@pytest.mark.parametrize("lmk_id", ["01", "02"])
def test_mac_with_a_key_block(
    host: Host, usage: str, algorithm: str, mode: str, lmk_id: str
) -> None:
    """M1 and M3 blocks: C and N make and check, G only makes (A8), V only checks (A8)."""
    block = s_block(KEY_B, f"{usage}T{mode}00E00", lmk_id)
    head = f"021{algorithm}1FFF{block}0004ABCD"
    mac = mac_of(algorithm, KEY_B, padded(b"ABCD", 1)).hex().upper()
    made, checked = host.ask("M6" + head), host.ask(f"M8{head}{mac}")
    assert made.error + made.text == (f"00{mac}" if mode in "CGN" else "A8")
    assert checked.error == ("00" if mode in "CVN" else "A8")


GW = {"4": ("1", 16), "5": ("2", 8), "6": ("3", 8)}


@pytest.mark.parametrize("mode", GW)
@pytest.mark.parametrize("counter", ["00001", "0000F", "00013", "FFC00"])
@pytest.mark.parametrize("data", [b"12345678", b"ABC", b"4012345678909D987"], ids=len)
def test_dukpt_mac(host: Host, mode: str, counter: str, data: bytes) -> None:
    """GW modes 4, 5, 6 make and 1, 2, 3 check: X9.19 under the MAC request key."""
    ksn = f"FFFF9876543210E{counter}"
    full = retail_mac(oracle.dukpt_variant(KEY_C, ksn, "mac"), padded(data, 1)).hex().upper()
    check, digits = GW[mode]
    bdk = lmk("009", KEY_C)
    made = host.ask(f"GW{mode}1{bdk}605{ksn}{len(data):04X}".encode() + data)
    assert made.error == "00"
    mac = made.text
    assert len(mac) == digits
    assert mac in {full[:digits], full[-digits:]}
    assert mac == full[:8] or mode != "5"
    frame = f"GW{check}1{bdk}605{ksn}{mac}{len(data):04X}".encode() + data
    assert host.ask(frame).error == "00"
    assert host.ask(frame[:-1] + b"?").error == "01"
