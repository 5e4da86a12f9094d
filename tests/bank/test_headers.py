"""Headers: three kinds, read strictly, turned round for an answer."""

import pytest

from channels.iso8583.errors import DialectError, RemoteError
from channels.iso8583.headers import CupsHeader
from channels.iso8583.load import parse_dialect
from channels.iso8583.rules import check_complete
from tests.bank.dialects import CODECS, sale

CUPS = CODECS["cups-host"]
FRAME = CUPS.encode("0200", sale("cups-host"))


def test_the_46_bytes_of_a_host_message():
    """2E, version, length of the whole message, both addresses, and the rest at its place."""
    assert FRAME[0] == 0x2E
    assert FRAME[1] == 0x02
    assert FRAME[2:6] == b"%04d" % len(FRAME)
    assert FRAME[6:28] == b"00010000   00000000   "
    assert FRAME[28:46] == bytes(4) + b"00000000" + b"\0" + b"00000"
    assert FRAME[46:50] == b"0200"


def test_an_answer_turns_addresses_round():
    """Destination and source change places; the length is that of the answer."""
    request = CUPS.decode(FRAME)

    answer = CUPS.decode(CUPS.answer(request, "0210", {"39": "00"}))

    assert isinstance(answer.header, CupsHeader)
    assert (answer.header.destination, answer.header.source) == ("00000000", "00010000")
    assert answer.header.reject_code == "00000"


@pytest.mark.parametrize(
    "frame",
    [
        b"\x2d" + FRAME[1:],
        FRAME[:2] + b"0001" + FRAME[6:],
        FRAME[:41] + b"0000x" + FRAME[46:],
        FRAME[:10] + b"\xff" + FRAME[11:],
        FRAME[:40],
        FRAME + b"x",
    ],
    ids=["no 2E", "other length", "reject code", "not ASCII", "cut short", "one byte more"],
)
def test_a_header_that_is_none(frame):
    """Each is an error of the header, before any field is read."""
    with pytest.raises(RemoteError) as caught:
        CUPS.decode(frame)

    assert caught.value.path == "header"


def test_I10_a_message_sent_back_unread_is_no_answer():
    """A centre that rejects returns our own message with a code: it proves nothing."""
    fields = {"7": "0101101010", "11": "000042", "39": "00", "41": "10000001", "3": "000000"}
    fields |= {"37": "123456789012", "128": "ABCDEF01"}
    good = CUPS.encode("0210", fields)
    check_complete(CUPS.dialect, CUPS.decode(good))

    with pytest.raises(RemoteError, match="30005"):
        check_complete(CUPS.dialect, CUPS.decode(good[:41] + b"30005" + good[46:]))


def test_tpdu_alone_and_no_header_at_all():
    """zj-bcd has five bytes before the message type, gz-ascii none."""
    zj = CODECS["zj-bcd"].encode("0200", sale("zj-bcd"))
    gz = CODECS["gz-ascii"].encode("0200", sale("gz-ascii"))

    assert zj.startswith(bytes.fromhex("60000100000200"))
    assert gz.startswith(b"0200")
    assert CODECS["zj-bcd"].decode(zj).tpdu.destination == "0001"
    assert CODECS["gz-ascii"].decode(gz).lead == CODECS["gz-ascii"].decode(gz).lead


def test_128_bits_in_every_message_where_the_dialect_says_so():
    """A sign-on without a field above 64 has 16 bytes of bitmap at gz-ascii and 8 at cups-host."""
    gz = CODECS["gz-ascii"].encode("0800", {"11": "000001"})
    cups = CUPS.encode("0820", {"11": "000001"})

    assert gz == b"0800" + bytes.fromhex("8020000000000000 0000000000000000") + b"000001"
    assert cups[46:] == b"0820" + bytes.fromhex("0020000000000000") + b"000001"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('destination: "00010000"', 'destination: "000100000000"'),
        ('version: "02"', 'version: "2"'),
        ('source: "00000000"', 'source: "医院"'),
    ],
)
def test_header_values_that_do_not_fit_are_named(old, new):
    """A dialect file with a value too long for its place is refused when it is read."""
    from importlib.resources import files

    text = (files("channels.iso8583") / "dialects" / "cups-host.yaml").read_text(encoding="utf-8")

    with pytest.raises(DialectError, match="header"):
        parse_dialect(text.replace(old, new, 1), "mine")
