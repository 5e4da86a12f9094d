"""Frames and back-off: whole, byte by byte, hostile."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switch.net.backoff import Backoff
from switch.net.frames import FrameError, FrameReader, LengthPrefix, framed

BOTH = pytest.mark.parametrize("prefix", list(LengthPrefix))


@BOTH
@given(bodies=st.lists(st.binary(max_size=64), max_size=8), cuts=st.data())
def test_frames_survive_any_cutting(prefix, bodies, cuts):
    """What was framed comes back in order, however the stream is cut (method: random cuts)."""
    stream = b"".join(framed(body, prefix) for body in bodies)
    reader = FrameReader(prefix, 64)
    seen = []
    rest = stream
    while rest:
        size = cuts.draw(st.integers(1, len(rest)))
        seen += reader.receive(rest[:size])
        rest = rest[size:]

    assert seen == bodies
    assert not reader.partial


def _outcome(reader, chunks):
    frames = []
    try:
        for chunk in chunks:
            for frame in reader.receive(chunk):
                frames.append(frame)
    except FrameError as error:
        return frames, str(error)
    return frames, ""


@BOTH
@given(stream=st.binary(max_size=200))
def test_fuzz_whole_and_byte_by_byte_agree(prefix, stream):
    """Any bytes give frames or FrameError, nothing else, and the cutting does not matter."""
    whole = _outcome(FrameReader(prefix, 100), [stream])
    single = _outcome(FrameReader(prefix, 100), [bytes([byte]) for byte in stream])

    assert whole == single


def test_I11_oversize_is_refused_before_buffering():
    """A prefix above the limit is refused at once, and nothing of its body is kept."""
    reader = FrameReader(LengthPrefix.BINARY_2, 1024)

    with pytest.raises(FrameError, match="65535 bytes exceeds the limit of 1024"):
        list(reader.receive(b"\xff\xff" + b"x" * 5000))

    assert not reader.partial
    with pytest.raises(FrameError):
        list(reader.receive(b"\x00\x00"))


def test_frames_before_the_bad_one_are_delivered():
    """A good frame is not lost because a bad prefix follows it in the same segment."""
    reader = FrameReader(LengthPrefix.BINARY_2, 16)
    frames = reader.receive(b"\x00\x02ok\xff\xff")

    assert next(frames) == b"ok"
    with pytest.raises(FrameError):
        next(frames)


def test_error_names_the_likely_framing():
    """An ASCII length read as binary, and the other way round, are named in the error."""
    with pytest.raises(FrameError, match="looks like an ASCII length"):
        list(FrameReader(LengthPrefix.BINARY_2, 1024).receive(b"0112" + b"0" * 112))
    with pytest.raises(FrameError, match="2-byte binary length"):
        list(FrameReader(LengthPrefix.ASCII_4, 1024).receive(b"\x00\x70\x60\x00"))


def test_zero_length_is_delivered_as_a_heartbeat():
    """Some banks send a length of zero on an idle link; it is a frame, an empty one."""
    assert list(FrameReader(LengthPrefix.BINARY_2, 16).receive(b"\x00\x00\x00\x01a")) == [b"", b"a"]


def test_frame_too_long_for_its_prefix_is_not_written():
    """The writer refuses what the prefix cannot say."""
    with pytest.raises(ValueError, match="four digits"):
        framed(b"x" * 10_000, LengthPrefix.ASCII_4)
    with pytest.raises(ValueError, match="two bytes"):
        framed(b"x" * 65_536, LengthPrefix.BINARY_2)


@given(st.floats(0, 1, exclude_max=True), st.integers(0, 60))
def test_backoff_doubles_within_its_bounds(random, tries):
    """Every wait lies in (half, full] of the doubled wait, and the ceiling holds for ever."""
    backoff = Backoff(500, 30_000, lambda: random)
    for _ in range(tries):
        backoff.next_ms()
    full_ms = min(30_000, 500 * 2**tries)

    assert full_ms // 2 <= backoff.next_ms() <= full_ms
    backoff.reset()
    assert 250 <= backoff.next_ms() <= 500
