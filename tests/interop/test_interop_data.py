"""Data commands: M0 encrypts, M2 decrypts, M4 translates; AES blocks; card and EMV commands."""

import pytest

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
    lmk,
    odd,
    s_block,
    tdes,
)

IV = bytes.fromhex("0F1E2D3C4B5A6978")
IV_2 = bytes.fromhex("89ABCDEF01234567")
LONG_IV = bytes(range(16))
TEXT = b"4000001234567890=2512101"
KEYS = {"single": SINGLE_B, "double": KEY_B, "triple": odd(TRIPLE)}
BAD = bytes([KEY_A[0] ^ 1]) + KEY_A[1:]


def shown(form: str, data: bytes) -> bytes:
    """Data in an input or output format: binary or text as it is, hex in characters."""
    return data.hex().upper().encode() if form == "1" else data


def counted(form: str, data: bytes) -> bytes:
    """Four hex digits of length in characters, then the data."""
    body = shown(form, data)
    return b"%04X" % len(body) + body


@pytest.mark.parametrize("kind", ["00A", "00B"])
@pytest.mark.parametrize("name", KEYS)
@pytest.mark.parametrize("forms", ["00", "01", "10", "11", "21", "20"])
@pytest.mark.parametrize("cbc", [False, True], ids=["ecb", "cbc"])
def test_encrypt(host: Host, cbc: bool, forms: str, name: str, kind: str) -> None:
    """M0: ECB and CBC (the IV for the next part comes first in the answer)."""
    key = KEYS[name]
    iv = IV.hex().upper().encode() if cbc else b""
    head = f"{'01' if cbc else '00'}{forms}{kind}{lmk(kind, key)}".encode() + iv
    expected = tdes(key, TEXT, iv=IV if cbc else None)
    answer = host.ask(b"M0" + head + counted(forms[0], TEXT))
    chain = expected[-8:].hex().upper().encode() if cbc else b""
    assert (answer.error, answer.rest) == ("00", chain + counted(forms[1], expected))


@pytest.mark.parametrize("name", KEYS)
@pytest.mark.parametrize("forms", ["00", "01", "10", "11", "12", "02"])
@pytest.mark.parametrize("cbc", [False, True], ids=["ecb", "cbc"])
def test_decrypt(host: Host, cbc: bool, forms: str, name: str) -> None:
    """M2 with a DEK: the way back, to text too."""
    key = KEYS[name]
    iv = IV.hex().upper().encode() if cbc else b""
    secret = tdes(key, TEXT, iv=IV if cbc else None)
    head = f"{'01' if cbc else '00'}{forms}00B{lmk('00B', key)}".encode() + iv
    answer = host.ask(b"M2" + head + counted(forms[0], secret))
    chain = secret[-8:].hex().upper().encode() if cbc else b""
    assert (answer.error, answer.rest) == ("00", chain + counted(forms[1], TEXT))


@pytest.mark.parametrize("modes", ["0000", "0001", "0100", "0101"])
@pytest.mark.parametrize("forms", ["11", "00", "10"])
def test_translate(host: Host, modes: str, forms: str) -> None:
    """M4 (U): source mode, destination mode, formats, both keys, IVs where CBC asks for them."""
    source_iv = IV if modes[:2] == "01" else None
    target_iv = IV_2 if modes[2:] == "01" else None
    secret = tdes(KEY_A, TEXT, iv=source_iv)
    expected = tdes(KEY_B, TEXT, iv=target_iv)
    ivs = b"".join(iv.hex().upper().encode() for iv in (source_iv, target_iv) if iv)
    head = f"M4{modes}{forms}00B{lmk('00B', KEY_A)}00B{lmk('00B', KEY_B)}".encode()
    answer = host.ask(head + ivs + counted(forms[0], secret))
    chains = b"".join(
        data[-8:].hex().upper().encode()
        for data, iv in ((secret, source_iv), (expected, target_iv))
        if iv
    )
    assert (answer.error, answer.rest) == ("00", chains + counted(forms[1], expected))


def test_encrypt_in_parts(host: Host) -> None:
    """M0 CBC: the chain of one part is the IV of the next."""
    head = f"M001{'11'}00B{lmk('00B', KEY_B)}".encode()
    first = host.ask(head + IV.hex().upper().encode() + counted("1", TEXT[:8])).rest
    second = host.ask(head + first[:16] + counted("1", TEXT[8:])).rest
    assert bytes.fromhex((first[20:] + second[20:]).decode()) == tdes(KEY_B, TEXT, iv=IV)


@pytest.mark.parametrize(
    ("request_", "error"),
    [
        (f"M0001100B{lmk('00B', BAD)}00101234567890ABCDEF", "10"),
        (f"M0001100B{lmk('001', KEY_A)}00101234567890ABCDEF", "10"),
        (f"M00011001{lmk('001', KEY_A)}00101234567890ABCDEF", "28|29|05"),
        (f"M00011ZZZ{lmk('001', KEY_A)}00101234567890ABCDEF", "04|05"),
        (f"M0991100B{lmk('00B', KEY_A)}00101234567890ABCDEF", "02|15"),
        (f"M0009100B{lmk('00B', KEY_A)}00101234567890ABCDEF", "03|15"),
        (f"M0001900B{lmk('00B', KEY_A)}00101234567890ABCDEF", "04|15"),
        (f"M0001100B{lmk('00B', KEY_A)}000E1234567890ABCD", "06|15|80"),
        (f"M0001100B{lmk('00B', KEY_A)}00101234567890ABCDEG", "15|35"),
        (f"M0001100B{lmk('00B', KEY_A)}00201234567890ABCDEF", "06|15|80"),
        (f"M0011100B{lmk('00B', KEY_A)}00101234567890ABCDEF", "06|15|80"),
        (f"M400001100B{lmk('00B', KEY_A)}00B{lmk('00B', BAD)}00101234567890ABCDEF", "11"),
        (f"M400001100B{lmk('00B', BAD)}00B{lmk('00B', KEY_B)}00101234567890ABCDEF", "10"),
    ],
)
def test_data_command_refuses(host: Host, request_: str, error: str) -> None:
    """U: flags 02-06 or 15, parity 10 and 11, lengths that are no whole block."""
    assert host.ask(request_).error in error.split("|")


AES_KEYS = {"128": AES_128, "256": AES_256}


@pytest.mark.parametrize("bits", AES_KEYS)
@pytest.mark.parametrize("cbc", [False, True], ids=["ecb", "cbc"])
def test_aes_data(host: Host, cbc: bool, bits: str) -> None:
    """M0 and M2 with AES D0 blocks under LMK 02: 16-byte blocks, IV 32H."""
    key = AES_KEYS[bits]
    block = s_block(key, "D0AB00E00", "02")
    data = b"0123456789abcdefFEDCBA9876543210"
    secret = aes(key, data, iv=LONG_IV if cbc else None)
    iv = LONG_IV.hex().upper().encode() if cbc else b""
    head = f"{'01' if cbc else '00'}11FFF{block}".encode() + iv
    chain = secret[-16:].hex().upper().encode() if cbc else b""
    assert host.ask(b"M0" + head + counted("1", data)).rest == chain + counted("1", secret)
    assert host.ask(b"M2" + head + counted("1", secret)).rest == chain + counted("1", data)


@pytest.mark.parametrize(
    ("mode", "command", "error"),
    [
        ("E", "M0", "00"),
        ("E", "M2", "A8"),
        ("D", "M2", "00"),
        ("D", "M0", "A8"),
        ("B", "M0", "00"),
        ("B", "M2", "00"),
        ("N", "M0", "00"),
        ("N", "M2", "00"),
        ("V", "M0", "A8"),
        ("G", "M2", "A8"),
    ],
)
@pytest.mark.parametrize("lmk_id", ["01", "02"])
def test_mode_of_use_of_a_data_key(
    host: Host, lmk_id: str, command: str, mode: str, error: str
) -> None:
    """D0 blocks: E encrypts, D decrypts, B and N both, others A8."""
    block = s_block(KEY_C, f"D0T{mode}00E00", lmk_id)
    answer = host.ask(f"{command}0011FFF{block}00101234567890ABCDEF")
    assert answer.error == error
    if error == "00":
        expected = tdes(KEY_C, bytes.fromhex("1234567890ABCDEF"), decrypt=command == "M2")
        assert answer.text == "0010" + expected.hex().upper()
