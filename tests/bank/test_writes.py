"""The crash points around money writes: what is on the wire when the process dies."""

import pytest

from channels.iso8583 import writes
from switch.net.frames import LengthPrefix, framed


class Died(Exception):  # noqa: N818 - stands for SIGKILL
    """In the place of death."""


class FakeLink:
    """Bytes count as on the wire when flushed; a plain write waits for the end of the turn."""

    def __init__(self):
        self.wire = b""
        self._buffer = b""

    def send(self, message):
        self._buffer += framed(message, LengthPrefix.BINARY_2)

    def send_half(self, message):
        data = framed(message, LengthPrefix.BINARY_2)
        self._buffer += data[: len(data) // 2]
        self.flush()

    def flush(self):
        self.wire, self._buffer = self.wire + self._buffer, b""


def _die_at(monkeypatch, name):
    def crash_point(reached):
        if reached == name:
            raise Died

    monkeypatch.setattr(writes, "crash_point", crash_point)
    monkeypatch.setattr(writes, "armed", lambda asked: asked == name)


@pytest.mark.parametrize(
    ("write", "point", "wire"),
    [
        (writes.write_sale, "K2 committed, not sent", b""),
        (writes.write_sale, "K3 half a frame", b"\x00\x040"),
        (writes.write_sale, "K4 sent, no answer", b"\x00\x040123"),
        (writes.write_reversal, "K12 reversal sent, no ack", b"\x00\x040123"),
    ],
)
def test_I4_what_is_on_the_wire_at_death(monkeypatch, write, point, wire):
    """K2 nothing, K3 a torso, K4 and K12 the whole frame."""
    _die_at(monkeypatch, point)
    link = FakeLink()

    with pytest.raises(Died):
        write(link, b"0123")

    assert link.wire == wire


def test_without_an_armed_point_one_frame_is_written(monkeypatch):
    """The plain way writes once and flushes nothing by itself."""
    _die_at(monkeypatch, "")
    link = FakeLink()

    writes.write_sale(link, b"0123")

    assert link.wire == b""
    link.flush()
    assert link.wire == b"\x00\x040123"
