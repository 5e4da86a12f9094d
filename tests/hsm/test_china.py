"""MS and the 国密 keys: the MAB of Racal boxes, SM4 under the AES key-block LMK."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hsm import primitives
from hsm.block_header import Attributes
from hsm.lmk import NewKey

KEY = "0123456789ABCDEFFEDCBA9876543210"
TRIPLE = KEY + "89ABCDEF01234567"
SINGLE = "5BB5C72CD00B7338"
TEXT = b"Now is the time for all "
many = settings(
    deadline=None, max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def mab(host: Any, clear: str = KEY, **changed: Any) -> dict[str, Any]:
    """MS over one binary block under a TAK."""
    flag = str(len(clear) // 16 - 1)
    return {"block": "0", "key_kind": "0", "length_flag": flag, "form": "0",
            "key": host.wrap("003", clear), "message": TEXT, **changed}  # fmt: skip


def test_mab_of_the_standards_example(host: Any) -> None:
    """X9.19 over ``Now is the time for all ``; hex input counts bytes, not characters."""
    key = str(host.wrap("003", KEY)).encode()
    hexed = TEXT.hex().upper().encode()

    assert host.raw(b"0001MS0010" + key + b"0018" + TEXT) == b"0001MT00A1C72E74EA3FA9B6"
    assert host.raw(b"0001MS0011" + key + b"0018" + hexed) == b"0001MT00A1C72E74EA3FA9B6"


def test_mab_by_key_length(host: Any) -> None:
    """X9.9 under a single key; a triple one ends in triple DES; a ZAK is as good as a TAK."""
    single = primitives.cbc_mac(bytes.fromhex(SINGLE), TEXT).hex().upper()
    key = bytes.fromhex(TRIPLE)
    head, last = TEXT[:16], TEXT[16:]
    chain = primitives.cbc_mac(key[:8], head)
    triple = primitives.ecb_encrypt(key, primitives.xor(chain, last)).hex().upper()
    zak = {"key_kind": "1", "key": host.wrap("008", KEY)}

    assert host.ask("MS", **mab(host, SINGLE)) == ("00", {"mab": single})
    assert host.ask("MS", **mab(host, TRIPLE)) == ("00", {"mab": triple})
    assert host.ask("MS", **mab(host, **zak)) == ("00", {"mab": "A1C72E74EA3FA9B6"})


@many
@given(message=st.binary(min_size=17, max_size=90), clear=st.sampled_from([SINGLE, KEY, TRIPLE]))
def test_blocks_make_the_whole(host: Any, message: bytes, clear: str) -> None:
    """Blocks 1, 2, 3 with the MAB handed on as IV give what block 0 gives."""
    _, whole = host.ask("MS", **mab(host, clear, message=message))
    _, one = host.ask("MS", **mab(host, clear, block="1", message=message[:8]))
    _, two = host.ask("MS", **mab(host, clear, block="2", iv=one["mab"], message=message[8:16]))
    last = mab(host, clear, block="3", iv=two["mab"], message=message[16:])

    assert host.ask("MS", **last) == ("00", whole)


@pytest.mark.parametrize(
    ("flags", "error"),
    [(b"4010", b"05"), (b"0210", b"04"), (b"0030", b"06"), (b"0012", b"03"), (b"0000", b"27")],
)
def test_MS_names_the_flag_at_fault(host: Any, flags: bytes, error: bytes) -> None:
    """Block 05, key type 04, key length 06, message type 03; 27 when the key has another one."""
    key = str(host.wrap("003", KEY)).encode()

    assert host.raw(b"0001MS" + flags + key + b"0008" + bytes(8)) == b"0001MT" + error


def test_MS_refuses(host: Any) -> None:
    """A first block that is not whole, no data, too little data, a key of another type."""
    assert host.ask("MS", **mab(host, block="1", message=b"seven.."))[0] == "80"
    assert host.ask("MS", **mab(host, message=b""))[0] == "80"
    key = str(host.wrap("003", KEY)).encode()
    assert host.raw(b"0001MS0011" + key + b"0008" + b"00" * 7) == b"0001MT80"
    assert host.ask("MS", **mab(host, key=host.wrap("001", KEY)))[0] == "10"


# ---- SM4 ----------------------------------------------------------------------------------------


def test_the_standards_examples() -> None:
    """GB/T 32907 A.1 and A.2's first steps, GB/T 32905 A.1 and A.2."""
    key = bytes.fromhex(KEY)
    sealed = primitives.sm4_encrypt(key, key)

    assert sealed.hex().upper() == "681EDF34D206965E86B3E94F536E4246"
    assert primitives.BLOCK_CIPHERS["4"].decrypt(key, sealed) == key
    assert primitives.sm3(b"abc").hex().upper() == (
        "66C7F0F462EEEDD9D1F2D46BDC10E4E24167C4875CF2F7A2297DA02B8F4BA8E0"
    )
    assert primitives.sm3(b"abcd" * 16).hex().upper() == (
        "DEBE9FF92275B8A138604889C18E5A4D6FDB70E5387E5765293DCBA39C0C5732"
    )


def test_half_a_block_never_stays_in_a_shared_context() -> None:
    """It would come out in front of somebody else's data."""
    key = bytes.fromhex(KEY)
    for work in (primitives.sm4_encrypt, primitives.BLOCK_CIPHERS["4"].decrypt):
        with pytest.raises(ValueError, match="16 bytes"):
            work(key, b"half")
    assert primitives.sm4_encrypt(key, key).hex().upper() == "681EDF34D206965E86B3E94F536E4246"


def test_an_sm4_key_is_an_own_algorithm(host: Any) -> None:
    """Letter 4 in the header: made by A0 with attribute 41, used by M6 and M0, and by no command
    as something else."""
    lmk = host.lmks["02"]
    attributes = Attributes("M0", "41", "C", "00", "N")
    key = lmk.keep(NewKey("FFF", "S", attributes), bytes.fromhex(KEY), host.entropy)
    request = {"mode": "0", "form": "0", "mac_size": "1", "algorithm": "1", "padding": "1",
               "key_type": "FFF", "key": key, "message": b"short"}  # fmt: skip
    expected = primitives.sm4_encrypt(bytes.fromhex(KEY), b"short" + bytes(11))[:8].hex().upper()

    assert key.body[7] == "4"
    assert host.ask("M6", **request) == ("00", {"mac": expected})
    assert host.ask("M6", **(request | {"algorithm": "3"}))[0] == "A7"
    assert host.ask("MA", tak=key, message=b"text")[0] == "A7"
    assert host.ask("M0", mode="00", form="0", output_form="0", key_type="FFF", key=key,
                    data=bytes(16))[0] == "A6"  # fmt: skip
