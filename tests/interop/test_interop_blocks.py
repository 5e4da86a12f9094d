"""Key blocks: LMK 01 (TDES, version 0) and 02 (AES, version 1), TR-31 through psec."""

import warnings

import psec.tr31
import pytest

from tests.interop import oracle
from tests.interop.host import Host
from tests.interop.oracle import (
    AES_128,
    AES_256,
    KEY_A,
    KEY_B,
    KEY_C,
    SINGLE_B,
    TRIPLE,
    aes,
    from_s_block,
    kcv,
    lmk,
    odd,
    pin_block,
    s_block,
    tdes,
)

IDS = ["01", "02"]
USAGES = [
    "K0TB",
    "P0TB",
    "P0TN",
    "M1TC",
    "M3TC",
    "D0TB",
    "B0TX",
    "B0TN",
    "C0TN",
    "V1TN",
    "V2TN",
    "E0TN",
    "M1TN",
    "M3TN",
    "D0TN",
]
ACCOUNT = "550000025321"


def cut(text: str) -> tuple[list[str], str]:
    """The S and R blocks an answer starts with, and what follows."""
    blocks = []
    while text[:1] in {"S", "R"}:
        length = int(text[2:6]) + 1
        blocks.append(text[:length])
        text = text[length:]
    return blocks, text


def attributes(usage: str, algorithm: str = "T2") -> str:
    """The # field of a header: usage, algorithm 2, mode, version 00, export E, no blocks."""
    return f"#{usage[:2]}{algorithm}{usage[3]}00E00"


@pytest.mark.parametrize("usage", USAGES)
@pytest.mark.parametrize("lmk_id", IDS)
@pytest.mark.parametrize(("algorithm", "length"), [("T2", 16), ("T3", 24)])
def test_generated_block(host: Host, algorithm: str, length: int, lmk_id: str, usage: str) -> None:
    """A0 under %01, %02 with # attributes: the block opens by 2.7 and says what was asked."""
    text = host.fields(f"A00FFFS%{lmk_id}{attributes(usage, algorithm)}")
    (block,), check = cut(text)
    header, key = from_s_block(block)
    assert header[0] == ("0" if lmk_id == "01" else "1")
    assert header[5:] == f"{usage}00E00{lmk_id}"
    assert len(key) == length
    assert key == odd(key)
    assert check == kcv(key)


@pytest.mark.parametrize(("algorithm", "length"), [("A1", 16), ("A2", 24), ("A3", 32)])
@pytest.mark.parametrize("usage", ["P0AB", "D0AB", "M6AC", "K0AB"])
def test_generated_aes_block(host: Host, usage: str, algorithm: str, length: int) -> None:
    """A0 under %02 for AES keys of three lengths; the check value is AES-CMAC over zeros."""
    (block,), check = cut(host.fields(f"A00FFFS%02{attributes(usage, algorithm)}"))
    header, key = from_s_block(block)
    assert header[5:9] == usage
    assert len(key) == length
    assert check in {
        oracle.cmac(key, bytes(16)).hex().upper()[:6],
        aes(key, bytes(16)).hex().upper()[:6],
    }


@pytest.mark.parametrize("delimiter", [";", ""])
@pytest.mark.parametrize("usage", ["P0TB", "M3TC", "D0TB"])
@pytest.mark.parametrize("lmk_id", IDS)
def test_generated_and_exported_block(host: Host, lmk_id: str, usage: str, delimiter: str) -> None:
    """A0 mode 1: S under the ZMK has id FF and opens with the ZMK."""
    wrapping, use_aes = (odd(TRIPLE), False) if lmk_id == "01" else (AES_256, True)
    zmk = s_block(wrapping, "K0TB00E00" if not use_aes else "K0AB00E00", lmk_id)
    text = host.fields(f"A01FFFS{delimiter}0{zmk}S%{lmk_id}{attributes(usage)}")
    (held, sent), check = cut(text)
    key = from_s_block(held)[1]
    header, exported = from_s_block(sent, wrapping)
    assert exported == key
    assert header[5:9] + header[-2:] == usage + "FF"
    assert check == kcv(key)


@pytest.mark.parametrize("lmk_id", IDS)
@pytest.mark.parametrize("usage", ["P0TB00N00", "M3TC00S00", "D0TB12E00", "K0TB00E00"])
def test_import_and_export_s(host: Host, usage: str, lmk_id: str) -> None:
    """A6 keeps the attributes of an S block under the ZMK; A8 gives the key back."""
    zmk = s_block(KEY_C, "K0TB00E00", lmk_id)
    arriving = s_block(KEY_B, usage, "FF", wrapping=KEY_C, aes_wrap=False)
    (held,), check = cut(host.fields(f"A6FFF{zmk}{arriving}S%{lmk_id}"))
    header, key = from_s_block(held)
    assert (header[5:14], header[14:], key) == (usage, lmk_id, KEY_B)
    assert check == kcv(KEY_B)
    if usage[6] == "E":
        (sent,), check = cut(host.fields(f"A8FFF{zmk}{held}S%{lmk_id}"))
        assert from_s_block(sent, KEY_C)[1] == KEY_B
        assert check == kcv(KEY_B)


@pytest.mark.parametrize("lmk_id", IDS)
@pytest.mark.parametrize("scheme", ["U", "X"])
def test_import_of_a_variant_key_into_a_block(host: Host, scheme: str, lmk_id: str) -> None:
    """A6 of a U or X key under the ZMK with # attributes becomes a block."""
    zmk = s_block(KEY_C, "K0TB00E00", lmk_id)
    arriving = oracle.zmk(KEY_C, KEY_B, scheme)
    (held,), check = cut(host.fields(f"A6001{zmk}{arriving}S%{lmk_id}#P0T2N00E00"))
    header, key = from_s_block(held)
    assert (header[5:9], key) == ("P0TN", KEY_B)
    assert check == kcv(KEY_B)


@pytest.mark.parametrize("lmk_id", IDS)
@pytest.mark.parametrize("scheme", ["U", "X"])
def test_export_of_a_block_under_a_variant_zmk(host: Host, scheme: str, lmk_id: str) -> None:
    """A8 of a block to scheme U or X: export S allows it, E only asks for key blocks (AA)."""
    zmk = s_block(KEY_C, "K0TB00E00", lmk_id)
    held = s_block(KEY_B, "P0TB00S00", lmk_id)
    answer = host.fields(f"A8FFF{zmk}{held}{scheme}%{lmk_id}")
    assert answer == oracle.zmk(KEY_C, KEY_B, scheme) + kcv(KEY_B)
    strict = s_block(KEY_B, "P0TB00E00", lmk_id)
    assert host.ask(f"A8FFF{zmk}{strict}{scheme}%{lmk_id}").error == "AA"


@pytest.mark.parametrize("lmk_id", IDS)
def test_not_exportable_is_refused(host: Host, lmk_id: str) -> None:
    """A8 of a block with export N: AA."""
    zmk = s_block(KEY_C, "K0TB00E00", lmk_id)
    held = s_block(KEY_B, "P0TB00N00", lmk_id)
    assert host.ask(f"A8FFF{zmk}{held}S%{lmk_id}").error == "AA"


@pytest.mark.parametrize("position", range(17, 73, 3))
@pytest.mark.parametrize("lmk_id", IDS)
def test_flipped_bit_is_a4(host: Host, lmk_id: str, position: int) -> None:
    """One bit of ciphertext or MAC: A4."""
    block = s_block(KEY_B, "P0TB00E00", lmk_id)
    flipped = f"{int(block[position], 16) ^ 1:X}"
    broken = block[:position] + flipped + block[position + 1 :]
    assert host.ask(f"BUFFF{broken};FFF").error == "A4"
    assert host.fields(f"BUFFF{block};FFF")[:6] == kcv(KEY_B)


@pytest.mark.parametrize("lmk_id", IDS)
@pytest.mark.parametrize(
    ("position", "value"), [(6, "K"), (9, "N"), (10, "1"), (12, "N"), (9, "E"), (8, "T")]
)
def test_changed_header_is_a4(host: Host, lmk_id: str, position: int, value: str) -> None:
    """A header that was changed after wrapping: A4 (or the complaint about the change)."""
    block = s_block(KEY_B, "P0AB00E00" if position == 8 else "P0TB00E00", lmk_id)
    broken = block[:position] + value + block[position + 1 :]
    assert host.ask(f"BUFFF{broken};FFF").error[0] == "A"
    assert host.ask(f"BUFFF{broken};FFF").error in {"A4", "A6", "A7", "A8"}


@pytest.mark.parametrize("length", [4, 8, 20])
@pytest.mark.parametrize("lmk_id", IDS)
def test_truncated_block_is_refused(host: Host, lmk_id: str, length: int) -> None:
    """A block shorter than it says never works."""
    block = s_block(KEY_B, "P0TB00E00", lmk_id)
    assert host.ask(f"BUFFF{block[:-length]};FFF").error not in {"00", "01"}


FOREIGN = {
    "zpk in M6": ("M602131FFF{P0TB}0004ABCD", "A6"),
    "tak in CC source": ("CC{M3TC}{P0TB}120123456789ABCDEF0101550000025321", "A6"),
    "tak in CC target": ("CC{P0TB}{M3TC}120123456789ABCDEF0101550000025321", "A6"),
    "zmk in M0": ("M00011FFF{K0TB}00101234567890ABCDEF", "A6"),
    "zpk in M0": ("M00011FFF{P0TB}00101234567890ABCDEF", "A6"),
    "dek in M6": ("M602131FFF{D0TB}0004ABCD", "A6"),
    "zpk as zmk": ("A6FFF{P0TB}U0123456789ABCDEF0123456789ABCDEFS#P0T2N00E00", "A6"),
    "cvk in EC": ("EC{P0TB}{C0TN}0123456789ABCDEF0155000002532111234", "A6"),
    "encrypt-only zpk as source": ("CC{P0TE}{P0TB}120123456789ABCDEF0101550000025321", "A8"),
    "decrypt-only zpk as target": ("CC{P0TB}{P0TD}120123456789ABCDEF0101550000025321", "A8"),
    "verify-only mak in M6": ("M602131FFF{M3TV}0004ABCD", "A8"),
    "generate-only mak in M8": ("M802031FFF{M3TG}0004ABCD12345678", "A8"),
    "tpk in MA": ("MA{P0TB}data", "A6"),
    "zpk as bdk": ("G0{P0TB}{P0TB}605FFFF9876543210E000010123456789ABCDEF0101550000025321", "A6"),
}


@pytest.mark.parametrize("name", FOREIGN)
@pytest.mark.parametrize("lmk_id", IDS)
def test_usage_and_mode(host: Host, lmk_id: str, name: str) -> None:
    """A block does only what its header says: usage A6, mode A8."""
    template, error = FOREIGN[name]
    for usage in ("P0TB", "P0TE", "P0TD", "P0TN", "M3TC", "M3TV", "M3TG", "K0TB", "D0TB", "C0TN"):
        template = template.replace(f"{{{usage}}}", s_block(KEY_B, f"{usage}00E00", lmk_id))
    tail = f"%{lmk_id}" if "#" not in template else ""
    assert host.ask(template + tail).error == error


@pytest.mark.parametrize("suffix", ["", "%"])
@pytest.mark.parametrize("lmk_id", IDS)
def test_block_selects_its_lmk(host: Host, lmk_id: str, suffix: str) -> None:
    """Without %NN the block's own id selects the LMK; with it they must agree."""
    tail = f"%{lmk_id}" if suffix else ""
    source, target = (s_block(k, "P0TB00E00", lmk_id) for k in (KEY_A, KEY_B))
    block = tdes(KEY_A, pin_block("01", "1234", ACCOUNT)).hex().upper()
    text = host.fields(f"CC{source}{target}12{block}0101{ACCOUNT}{tail}")
    assert text == "04" + tdes(KEY_B, pin_block("01", "1234", ACCOUNT)).hex().upper() + "01"


@pytest.mark.parametrize("lmk_id", IDS)
def test_wrong_lmk_for_a_block(host: Host, lmk_id: str) -> None:
    """%NN of another LMK than the block's: one of A1…A4, never an answer."""
    other = "02" if lmk_id == "01" else "01"
    block = s_block(KEY_B, "M3TC00E00", lmk_id)
    assert host.ask(f"M602131FFF{block}0004ABCD%{other}").error in {"A1", "A2", "A3", "A4", "13"}
    assert host.ask(f"M602131FFF{block}0004ABCD%00").error in {"A1", "A2", "A3", "A4", "13"}


def test_variant_key_under_a_block_lmk(host: Host) -> None:
    """A U key cannot be used with %01: its scheme is not the LMK's (A1, or 26)."""
    frame = f"M602131003{lmk('003', KEY_B)}0004ABCD%01"
    assert host.ask(frame).error in {"A1", "26"}


@pytest.mark.parametrize("key", [SINGLE_B, KEY_B, odd(TRIPLE)], ids=len)
@pytest.mark.parametrize("tail", ["", ";FFF;001", ";FFF;000", "%"])
@pytest.mark.parametrize("lmk_id", IDS)
def test_check_value_of_a_block(host: Host, lmk_id: str, tail: str, key: bytes) -> None:
    """BU FF F block (U)."""
    tail = f"%{lmk_id}" if tail == "%" else tail
    text = host.fields(f"BUFFF{s_block(key, 'D0TB00E00', lmk_id)}{tail}")
    assert text == kcv(key, 6 if tail.endswith("001") else 16)


def tr31(
    version: str, kbpk: bytes, key: bytes, usage: str = "P0", algorithm: str = "T", mode: str = "B"
) -> str:
    """A TR-31 block of psec with the R of the command."""
    header = psec.tr31.Header(version, usage, algorithm, mode, "00", "E")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return "R" + psec.tr31.wrap(kbpk, header, key)


@pytest.mark.parametrize("version", "ABC")
@pytest.mark.parametrize("lmk_id", IDS)
@pytest.mark.parametrize(("usage", "mode"), [("P0", "B"), ("M3", "C"), ("D0", "B"), ("K0", "B")])
def test_import_of_tr31(host: Host, usage: str, mode: str, lmk_id: str, version: str) -> None:
    """A6 of R blocks A, B, C under a 3DES ZMK into scheme S."""
    zmk = s_block(odd(TRIPLE), "K0TB00E00", lmk_id)
    arriving = tr31(version, odd(TRIPLE), KEY_B, usage, "T", mode)
    (held,), check = cut(host.fields(f"A6FFF{zmk}{arriving}S%{lmk_id}"))
    header, key = from_s_block(held)
    assert (header[5:9], key, check) == (f"{usage}T{mode}", KEY_B, kcv(KEY_B))


@pytest.mark.parametrize(
    ("usage", "kind"), [("P0", "001"), ("M3", "003"), ("M3", "008"), ("K0", "000")]
)
@pytest.mark.parametrize("version", "ABC")
def test_import_of_tr31_under_the_variant_lmk(
    host: Host, version: str, usage: str, kind: str
) -> None:
    """A6 of R blocks into U under LMK 00."""
    mode = "C" if usage == "M3" else "B"
    arriving = tr31(version, KEY_C, KEY_B, usage, "T", mode)
    text = host.fields(f"A6{kind}{lmk('000', KEY_C)}{arriving}U")
    assert text == lmk(kind, KEY_B) + kcv(KEY_B)


@pytest.mark.parametrize("key", [AES_128, KEY_B], ids=["aes", "tdes"])
def test_import_of_tr31_d(host: Host, key: bytes) -> None:
    """A6 of R blocks D under an AES ZMK, for AES and 3DES keys."""
    zmk = s_block(AES_256, "K0AB00E00", "02")
    algorithm = "A" if key is AES_128 else "T"
    arriving = tr31("D", AES_256, key, "P0", algorithm, "B")
    (held,), _ = cut(host.fields(f"A6FFF{zmk}{arriving}S%02"))
    header, clear = from_s_block(held)
    assert (header[5:9], clear) == (f"P0{algorithm}B", key)


@pytest.mark.parametrize("version", "ABCD")
def test_flipped_tr31_is_refused(host: Host, version: str) -> None:
    """One changed character of a TR-31 block: A4."""
    wrapping, letter = (AES_256, "A") if version == "D" else (odd(TRIPLE), "T")
    zmk = s_block(wrapping, f"K0{letter}B00E00", "02")
    arriving = tr31(version, wrapping, KEY_B)
    broken = arriving[:30] + f"{int(arriving[30], 16) ^ 1:X}" + arriving[31:]
    assert host.ask(f"A6FFF{zmk}{broken}S%02").error == "A4"


@pytest.mark.parametrize("lmk_id", IDS)
def test_export_to_tr31(host: Host, lmk_id: str) -> None:
    """A8 to scheme R: psec opens it with the ZMK and finds the attributes."""
    wrapping, letter = (odd(TRIPLE), "T") if lmk_id == "01" else (AES_256, "A")
    zmk = s_block(wrapping, f"K0{letter}B00E00", lmk_id)
    held = s_block(KEY_B, "P0TB00E00", lmk_id)
    (sent,), check = cut(host.fields(f"A8FFF{zmk}{held}R%{lmk_id}"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        header, key = psec.tr31.unwrap(wrapping, sent[1:])
    assert (header.key_usage, header.algorithm, header.mode_of_use) == ("P0", "T", "B")
    assert (key, check) == (KEY_B, kcv(KEY_B))
    assert header.version_id == ("D" if letter == "A" else header.version_id)
    assert header.version_id in "ABCD"


@pytest.mark.parametrize("lmk_id", IDS)
@pytest.mark.parametrize("count", [2, 3, 9])
def test_form_a_block(host: Host, lmk_id: str, count: int) -> None:
    """A4 under a block LMK: components are blocks, attributes stand after #."""
    parts = [odd(bytes((b * (i + 5) + i) & 255 for b in KEY_B)) for i in range(count)]
    whole = bytes(16)
    for part in parts:
        whole = oracle.xor(whole, part)
    fields = "".join(s_block(p, f"P0TBc{i + 1}E00", lmk_id) for i, p in enumerate(parts))
    (held,), check = cut(host.fields(f"A4{count}FFFS{fields}%{lmk_id}#P0T2B00E00"))
    header, key = from_s_block(held)
    assert (header[5:9], key, check) == ("P0TB", odd(whole), kcv(whole))
