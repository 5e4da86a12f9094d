"""TR-31 key blocks against psec and the standard's examples, and every bit of them."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from psec import tr31 as oracle

from hsm import primitives, tr31
from hsm.block_header import BlockHeader
from hsm.errors import CommandError

pytestmark = pytest.mark.filterwarnings("ignore::cryptography.utils.CryptographyDeprecationWarning")

WRAPPING = {"A": (16, 24), "B": (16, 24), "C": (16, 24), "D": (16, 24, 32)}
KINDS = [(version, length) for version, lengths in WRAPPING.items() for length in lengths]
BLOCKS = st.sampled_from(((), (("KS", "FFFF9876543210E00000"),), (("KC", "00AA"), ("TS", "2026"))))


@st.composite
def cases(draw: st.DrawFn) -> tuple[bytes, BlockHeader, bytes]:
    """Wrapping key, header and key that belong together."""
    version, length = draw(st.sampled_from(KINDS))
    wrapping = draw(st.binary(min_size=length, max_size=length))
    algorithm, sizes = ("A", (16, 24, 32)) if version == "D" else ("T", (16, 24))
    size = draw(st.sampled_from(sizes))
    clear = draw(st.binary(min_size=size, max_size=size))
    header = BlockHeader(
        version, draw(st.sampled_from(("P0", "K0", "M3", "D0"))), algorithm,
        draw(st.sampled_from("BENX")), draw(st.sampled_from(("00", "01", "c2"))),
        draw(st.sampled_from("NSE")), draw(BLOCKS),
    )  # fmt: skip
    return wrapping, header, clear


@given(cases(), st.randoms(use_true_random=False))
def test_unpack_undoes_pack(case: tuple[bytes, BlockHeader, bytes], random: Any) -> None:
    """Header, optional blocks and key come back."""
    wrapping, header, clear = case

    assert tr31.unpack(wrapping, tr31.pack(wrapping, header, clear, random.randbytes)) == (
        header,
        clear,
    )


@settings(max_examples=40)
@given(cases(), st.randoms(use_true_random=False))
def test_psec_opens_ours_and_we_open_theirs(
    case: tuple[bytes, BlockHeader, bytes], random: Any
) -> None:
    """Both ways, all four versions, optional blocks with their padding among them."""
    wrapping, header, clear = case
    theirs, opened = oracle.unwrap(wrapping, tr31.pack(wrapping, header, clear, random.randbytes))
    assert opened == clear
    assert theirs.key_usage == header.usage
    assert {name: data for name, data in theirs.blocks.items() if name != "PB"} == dict(
        header.blocks
    )

    foreign = oracle.Header(
        header.version, header.usage, header.algorithm, header.mode, header.key_version,
        header.export,
    )  # fmt: skip
    for name, data in header.blocks:
        foreign.blocks[name] = data
    assert tr31.unpack(wrapping, oracle.wrap(wrapping, foreign, clear, len(clear))) == (
        header,
        clear,
    )


@pytest.mark.parametrize(
    ("wrapping", "block", "clear"),
    [
        (
            "89E88CF7931444F334BD7547FC3F380C",
            "A0072P0TE00E0000F5161ED902807AF26F1D62263644BD24192FDB3193C730301CEE8701",
            "F039121BEC83D26B169BDCD5B22AAF8F",
        ),
        (
            "DD7515F2BFC17F85CE48F3CA25CB21F6",
            "B0080P0TE00E000094B420079CC80BA3461F86FE26EFC4A3B8E4FA4C5F5341176EED7B727B8A248E",
            "3F419E1CB7079442AA37474C2EFBF8B8",
        ),
        (
            "89E88CF7931444F334BD7547FC3F380C",
            "C0072P0TE00E00002B828E2A2249B239404A842BC2DBCB90681D684B8914D4D4BC03C461",
            "F03C141BEC83D26B169BDCD5B22AAF8F",
        ),
        (
            "260892192061C8760BDF235E1619B057B334FED0EFA74F32",
            "B0080P0TE00E00009AFD3EC2FB89B35F6CAE8889D7777611DFE04DA850A298BFD07667601FC01825",
            "F039121BEC83D26B169BDCD5B22AAF8F",
        ),
        (
            "88E1AB2A2E3DD38C1FA039A536500CC8A87AB9D62DC92C01058FA79F44657DE6",
            "D0112P0AE00E0000B82679114F470F540165EDFBF7E250FCEA43F810D215F8D207E2E417C07156A2"
            "7E8E31DA05F7425509593D03A457DC34",
            "3F419E1CB7079442AA37474C2EFBF8B8",
        ),
    ],
)
def test_published_blocks(wrapping: str, block: str, clear: str) -> None:
    """Examples of TR-31:2018 (A, B, D) and of public implementations (B under 24 bytes, C)."""
    assert tr31.unpack(bytes.fromhex(wrapping), block).clear.hex().upper() == clear


@pytest.mark.parametrize(("version", "length"), KINDS)
def test_every_flipped_bit_is_refused(entropy: Any, version: str, length: int) -> None:
    """Header, body and MAC, one bit after the other: an error each time, and A4 wherever the
    header can still be read."""
    wrapping = primitives.odd_parity(entropy(length))
    header = BlockHeader(version, "P0", "A" if version == "D" else "T", "E", "00", "E")
    block = tr31.pack(wrapping, header, entropy(16), entropy)
    seen = set()
    for at in range(len(block)):
        for bit in range(7):
            flipped = block[:at] + chr(ord(block[at]) ^ (1 << bit)) + block[at + 1 :]
            if flipped.upper() == block or flipped[0] not in tr31.VERSIONS:
                continue
            if not tr31.takes(flipped[0], wrapping, aes=version == "D"):
                continue
            with pytest.raises(CommandError) as caught:
                tr31.unpack(wrapping, flipped)
            seen.add(caught.value.code)
            if 5 <= at < 12 and flipped.isprintable():
                assert caught.value.code == "A4"
    assert {"A4", "B2"} <= seen


@pytest.mark.parametrize(
    ("version", "length", "aes", "fits"),
    [("A", 16, False, True), ("B", 24, False, True), ("B", 8, False, False),
     ("D", 16, True, True), ("D", 16, False, False), ("B", 16, True, False)],
)  # fmt: skip
def test_which_key_wraps_which_version(version: str, length: int, aes: bool, fits: bool) -> None:
    """D takes AES keys, the others double and triple DES ones."""
    assert tr31.takes(version, bytes(length), aes=aes) is fits


def test_cmac_over_triple_des() -> None:
    """Examples of SP 800-38B, D.4: whole, empty and broken messages."""
    key = bytes.fromhex("8AA83BF8CBDA10620BC1BF19FBB6CD58BC313D4A371CA8B5")
    text = bytes.fromhex("6BC1BEE22E409F96E93D7E117393172AAE2D8A571E03AC9C9EB76FAC45AF8E51")
    for length, mac in ((0, "B7A688E122FFAF95"), (8, "8E8F293136283797"),
                        (20, "743DDBE0CE2DC2ED"), (32, "33E6B1092400EAE5")):  # fmt: skip
        assert primitives.tdes_cmac(key, text[:length]).hex().upper() == mac
