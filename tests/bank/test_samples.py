"""Sample frames of each dialect, put together by hand as its specification draws them.

The pieces are the wire; nothing of ours made them. They decode to what they say and encode back to
the same bytes.
"""

from typing import NamedTuple

import pytest

from channels.iso8583.framing import likely
from channels.iso8583.recognise import Recogniser
from switch.net.frames import FrameReader
from tests.bank.dialects import CODECS


class Sample(NamedTuple):
    """Pieces in order: text stands for its ASCII characters, ``x:`` begins hexadecimal."""

    dialect: str
    kind: str
    pieces: tuple[str, ...]
    fields: dict[str, str]

    @property
    def frame(self):
        """The bytes, length prefix and all."""
        return b"".join(
            bytes.fromhex(piece[2:]) if piece.startswith("x:") else piece.encode("ascii")
            for piece in self.pieces
        )


POS_SALE = Sample(
    "cup-pos",
    "sale",
    (
        "x:0083",
        "x:60 0003 0000",
        "x:60 31 00 310000",
        "x:0200",
        "x:70 24 06 C0 20 C0 98 11",
        "x:19 62 25 88 12 34 56 78 90 12 30",  # 19 digits, padded right
        "x:000000",
        "x:000000012345",
        "x:000042",
        "x:4912",
        "x:0210",  # 021, padded right
        "x:0001",  # 001, padded left
        "x:00",
        "x:12",
        "x:37 6225881234567890123D491210100000123000",
        "10000001",
        "103290083980001",
        "156",
        "x:0123456789ABCDEF",
        "x:2600000000000000",
        "x:0013 22000007000500",
        "8A9E91B8",
    ),
    {
        "2": "6225881234567890123",
        "3": "000000",
        "4": "000000012345",
        "11": "000042",
        "14": "4912",
        "22": "021",
        "23": "001",
        "25": "00",
        "26": "12",
        "35": "6225881234567890123D49121010000012300",
        "41": "10000001",
        "42": "103290083980001",
        "49": "156",
        "52": "0123456789ABCDEF",
        "53": "2600000000000000",
        "60": "2200000700050",
        "64": "8A9E91B8",
    },
)
GZ_REVERSAL = Sample(
    "gz-ascii",
    "reversal",
    (
        "0153",
        "0420",
        "x:F2 20 04 80 00 C0 80 00 00 00 00 40 00 00 00 01",
        "166225881234567890",
        "430350",
        "000000012345",
        "0726101500",
        "000042",
        "021",
        "00",
        "10000001",
        "103290083980001",
        "156",
        "020000004207261015000000000000000000000000",
        "x:0123456789ABCDEF",
    ),
    {
        "2": "6225881234567890",
        "3": "430350",
        "4": "000000012345",
        "7": "0726101500",
        "11": "000042",
        "22": "021",
        "25": "00",
        "41": "10000001",
        "42": "103290083980001",
        "49": "156",
        "90": "020000004207261015000000000000000000000000",
        "128": "0123456789ABCDEF",
    },
)
ZJ_SIGN_ON = Sample(
    "zj-bcd",
    "sign_on",
    (
        "0053",
        "x:60 0001 0000",
        "x:0800",
        "x:20 20 00 80 00 C0 00 10",
        "x:940000",
        "x:000001",
        "x:14",
        "10000001",
        "103290083980001",
        "x:0006",
        "A00100",
    ),
    {
        "3": "940000",
        "11": "000001",
        "25": "14",
        "41": "10000001",
        "42": "103290083980001",
        "60": "A00100",
    },
)
CUPS_KEY_RESET = Sample(
    "cups-host",
    "key_reset",
    (
        "0159",
        "x:2E 02",
        "0159",
        "00010000   ",
        "00000000   ",
        "x:000000 00",
        "00000000",
        "x:00",
        "00000",
        "0800",
        "x:82 20 00 00 80 01 08 00 04 00 00 00 00 00 00 01",
        "0726101500",
        "000077",
        "1100000000000",
        "034NK00112233445566778899AABBCCDDEEFF",
        "1600000000000000",
        "101",
        "8A9E91B8",
    ),
    {
        "7": "0726101500",
        "11": "000077",
        "33": "00000000000",
        "48": "NK00112233445566778899AABBCCDDEEFF",
        "53": "1600000000000000",
        "70": "101",
        "128": "8A9E91B8",
    },
)
SAMPLES = [POS_SALE, GZ_REVERSAL, ZJ_SIGN_ON, CUPS_KEY_RESET]


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.dialect)
def test_a_sample_decodes_to_what_it_says_and_back_to_its_bytes(sample):
    """encode(decode(bytes)) = bytes, length prefix and headers included."""
    codec = CODECS[sample.dialect]
    reader = FrameReader(codec.dialect.length_prefix, 4_096)

    (frame,) = reader.receive(sample.frame)
    message = codec.decode(frame)

    assert message.fields == sample.fields
    assert codec.encode(message.mti, message.fields) == frame
    assert Recogniser(codec.dialect).kind(message) == sample.kind


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.dialect)
def test_a_sample_is_known_by_its_looks(sample):
    """Without a name the likeliest dialect is its own."""
    assert likely(list(CODECS.values()), sample.frame)[0].codec.dialect.name == sample.dialect
