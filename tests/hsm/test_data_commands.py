"""M0, M2, M4: published answers, there and back, refusals."""

from collections.abc import Callable
from typing import Any

import pytest
from Crypto.Cipher import AES, DES3
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hsm.block_header import Attributes
from hsm.lmk import NewKey
from hsm.policy import Policy, open_policy

KEY, OTHER = "0123456789ABCDEFFEDCBA9876543210", "1023456789ABCDEFFEDCBA9876543201"
DEK_BLOCK = "S00072D0TN00E0001BD79343066F46B9C1279E2DE4382E56E6DD5BDCE0F850C7E444799D9"
DEK2_BLOCK = "S00072D0TN00E00010EA718005998326E187E742CF400E5698F5E55E2A0A25A5FD9C5EDDE"
IV = "0102030405060708"
many = settings(
    deadline=None, max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def request(**changed: Any) -> dict[str, Any]:
    """Binary in, binary out, ECB, under a DEK."""
    return {"mode": "00", "form": "0", "output_form": "0", "key_type": "00B", **changed}


def block(host: Any, clear: str, algorithm: str, usage: str = "D0", mode: str = "N") -> Any:
    """A clear test key as a key block under LMK 02."""
    attributes = Attributes(usage, algorithm, mode, "00", "N")
    new = NewKey("FFF", "S", attributes)
    return host.lmks["02"].keep(new, bytes.fromhex(clear), host.entropy)


def test_answers_of_a_real_device(host: Any) -> None:
    """M0, M2 and M4 in ECB, hex, under the published key-block LMK."""
    key, other = DEK_BLOCK.encode(), DEK2_BLOCK.encode()
    clear, sealed, moved = b"ABCDEF1234567890", b"6DD932DE48520285", b"1D8F38CC40C6F20D"

    assert host.raw(b"0001M00011FFF" + key + b"0010" + clear) == b"0001M1000010" + sealed
    assert host.raw(b"0001M20011FFF" + key + b"0010" + sealed + b"%01") == b"0001M3000010" + clear
    both = b"FFF" + key + b"FFF" + other
    assert host.raw(b"0001M4000011" + both + b"0010" + sealed) == b"0001M5000010" + moved


@pytest.mark.parametrize(
    ("mode", "theirs"),
    [
        ("00", lambda key, iv: DES3.new(key, DES3.MODE_ECB)),
        ("01", lambda key, iv: DES3.new(key, DES3.MODE_CBC, iv=iv)),
        ("02", lambda key, iv: DES3.new(key, DES3.MODE_CFB, iv=iv, segment_size=8)),
        ("03", lambda key, iv: DES3.new(key, DES3.MODE_CFB, iv=iv, segment_size=64)),
    ],
)
def test_modes_of_triple_des(host: Any, mode: str, theirs: Callable[..., Any]) -> None:
    """Each against the library's own; the answer carries the IV of what comes next."""
    key, data = bytes.fromhex(KEY), bytes(range(24))
    sealed = theirs(key, bytes.fromhex(IV)).encrypt(data)
    common = request(mode=mode, key=host.wrap("00B", KEY), iv=IV)
    chain = {} if mode == "00" else {"chain": sealed[-8:].hex().upper()}

    assert host.ask("M0", **common, data=data) == ("00", {**chain, "result": sealed})
    assert host.ask("M2", **common, data=sealed) == ("00", {**chain, "result": data})


def test_cfb8_takes_any_length(host: Any) -> None:
    """Three bytes; the next IV is the last of the old one and the three."""
    common = request(mode="02", key=host.wrap("00B", KEY), iv=IV)
    _, sealed = host.ask("M0", **common, data=b"abc")

    assert sealed["chain"] == IV[6:] + sealed["result"].hex().upper()
    assert host.ask("M2", **common, data=sealed["result"])[1]["result"] == b"abc"


@pytest.mark.parametrize("name", ["A1", "41"])
def test_longer_blocks(host: Any, name: str) -> None:
    """AES and SM4 keys: blocks and IV of 16 bytes, ECB and CBC; no CFB."""
    key, data, iv = bytes.fromhex(KEY), bytes(range(32)), bytes(range(16))
    made = algorithms.AES(key) if name == "A1" else algorithms.SM4(key)
    common = request(key_type="FFF", key=block(host, KEY, name), iv=iv.hex().upper())

    for mode, theirs in (("00", modes.ECB()), ("01", modes.CBC(iv))):
        sealed = Cipher(made, theirs).encryptor().update(data)
        assert host.ask("M0", **(common | {"mode": mode}), data=data)[1]["result"] == sealed
        assert host.ask("M2", **(common | {"mode": mode}), data=sealed)[1]["result"] == data
    assert host.ask("M0", **(common | {"mode": "03"}), data=data)[0] == "A7"
    assert host.ask("M0", **common, data=data[:24])[0] == "80"


@many
@given(
    data=st.binary(min_size=1, max_size=8).map(lambda b: b * 16),
    mode=st.sampled_from(["00", "01"]), target=st.sampled_from(["00", "01"]),
    name=st.sampled_from(["A3", "41", "T2"]),
)  # fmt: skip
def test_M4_opens_and_seals_again(
    host: Any, data: bytes, mode: str, target: str, name: str
) -> None:
    """From triple DES to any cipher: what M2 opens under the second key is what went in."""
    one = block(host, KEY, "T2")
    two = block(host, OTHER * 2 if name == "A3" else OTHER, name)
    target_iv = IV if name == "T2" else IV * 2
    sealed = host.ask("M0", **request(mode=mode, key_type="FFF", key=one, iv=IV), data=data)[1]
    error, moved = host.ask(
        "M4", mode=mode, target_mode=target, form="0", output_form="0", key_type="FFF", key=one,
        target_key_type="FFF", target_key=two, iv=IV, target_iv=target_iv, data=sealed["result"],
    )  # fmt: skip
    back = request(mode=target, key_type="FFF", key=two, iv=target_iv)

    assert error == "00"
    assert host.ask("M2", **back, data=moved["result"])[1]["result"] == data


@pytest.mark.parametrize(
    ("flags", "error"),
    [
        (b"0900", b"02"),
        (b"0030", b"03"),
        (b"0003", b"04"),
        (b"0000999", b"05"),
        (b"0000001", b"28"),
        (b"0000003", b"28"),
    ],
)
def test_M0_names_the_flag_at_fault(host: Any, flags: bytes, error: bytes) -> None:
    """Mode 02, input 03, output 04, unknown type 05, a type for other work 28."""
    rest = flags[4:] or b"00B"
    key = str(host.wrap("00B", KEY)).encode()

    frame = b"0001M0" + flags[:4] + rest + key + b"0008" + bytes(8)
    assert host.raw(frame) == b"0001M1" + error


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"data": b""}, "80"),
        ({"data": b"seven.."}, "80"),
        ({"mode": "03", "iv": IV, "data": b"seven.."}, "80"),
        ({"output_form": "2"}, "15"),
    ],
)
def test_M0_refuses(host: Any, changed: dict[str, Any], error: str) -> None:
    """Data that is no whole step; text output of what is no text."""
    values = request(key=host.wrap("00B", KEY), data=b"eight..." * 4) | changed

    assert host.ask("M0", **values)[0] == error


def test_only_some_types_open_data(host: Any, make_host: Callable[[Policy], Any]) -> None:
    """Strict: a DEK, or a key block of its usage. In test mode also ZEK and TEK."""
    opened = make_host(open_policy())
    for key_type in ("00A", "30B"):
        values = request(key_type=key_type, key=host.wrap(key_type, KEY), data=bytes(8))
        target = {"target_mode": "00", "target_key_type": "00B",
                  "target_key": host.wrap("00B", OTHER)}  # fmt: skip

        assert host.ask("M0", **values)[0] == "00"
        assert host.ask("M2", **values)[0] == host.ask("M4", **values, **target)[0] == "29"
        assert opened.ask("M2", **values)[0] == opened.ask("M4", **values, **target)[0] == "00"
    zek = request(key_type="FFF", key=block(host, KEY, "A1", "22"), data=bytes(16))
    assert host.ask("M0", **zek)[0] == "00"
    assert host.ask("M2", **zek)[0] == "29"
    assert opened.ask("M2", **zek)[0] == "00"


def test_key_blocks_are_held_to_their_header(host: Any) -> None:
    """A6 for a PIN key, A8 for a key that only encrypts; never by lying about the type."""
    pin = request(key_type="FFF", key=block(host, KEY, "T2", "P0", "B"), data=bytes(8))
    one_way = request(key_type="FFF", key=block(host, KEY, "T2", "D0", "E"), data=bytes(8))

    assert host.ask("M2", **pin)[0] == "A6"
    assert host.ask("M0", **one_way)[0] == "00"
    assert host.ask("M2", **one_way)[0] == "A8"
    assert host.ask("M2", **(pin | {"key_type": "00B"}))[0] == "A6"


def test_aes_agrees_with_the_other_library(host: Any) -> None:
    """AES-256 in CBC."""
    data, iv = bytes(range(48)), bytes(range(16))
    sealed = AES.new(bytes.fromhex(KEY * 2), AES.MODE_CBC, iv=iv).encrypt(data)
    key = block(host, KEY * 2, "A3")
    values = request(mode="01", key_type="FFF", key=key, iv=iv.hex().upper(), data=data)

    assert host.ask("M0", **values)[1] == {"result": sealed, "chain": sealed[-16:].hex().upper()}
