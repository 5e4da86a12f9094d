"""Frames with a length in front, cut out of a stream (I11: bounded before anything is buffered).

The same reader serves bank links and HSM connections: a dialect or a client chooses the
:class:`LengthPrefix`. A frame of length zero is a heartbeat at some banks and is delivered as
``b""``. The time a frame may take is the link's business: it watches :attr:`FrameReader.partial`.
"""

from collections.abc import Iterator
from enum import StrEnum

_BINARY_BYTES_MAX = 0xFFFF
_DIGITS_MAX = 9_999


class LengthPrefix(StrEnum):
    """How a peer writes the length of what follows (the prefix itself is never counted)."""

    BINARY_2 = "binary_2"
    """Two bytes, big endian."""
    ASCII_4 = "ascii_4"
    """Four decimal digits."""


class FrameError(ValueError):
    """The stream cannot be cut into frames any more; the link must be closed.

    The text names lengths and the likely framing, never content (I12).
    """


_WIDTHS = {LengthPrefix.BINARY_2: 2, LengthPrefix.ASCII_4: 4}


def framed(body: bytes, prefix: LengthPrefix) -> bytes:
    """``body`` with its length before it; ValueError when the prefix cannot say it.

    >>> framed(b"0800", LengthPrefix.BINARY_2)
    b'\\x00\\x040800'
    >>> framed(b"0800", LengthPrefix.ASCII_4)
    b'00040800'
    """
    if prefix is LengthPrefix.ASCII_4:
        if len(body) > _DIGITS_MAX:
            raise ValueError(f"frame of {len(body)} bytes: four digits cannot say it")
        return b"%04d" % len(body) + body
    if len(body) > _BINARY_BYTES_MAX:
        raise ValueError(f"frame of {len(body)} bytes: two bytes cannot say it")
    return len(body).to_bytes(2, "big") + body


class FrameReader:
    """Cuts a stream into frames.

    ``limit_bytes`` is the largest body taken: a longer one is refused when its prefix is read,
    before a byte of it is kept. After an error the reader takes nothing more.
    """

    def __init__(self, prefix: LengthPrefix, limit_bytes: int) -> None:
        self._prefix = prefix
        self._width = _WIDTHS[prefix]
        self._limit_bytes = limit_bytes
        self._buffer = bytearray()
        self._error: FrameError | None = None

    @property
    def partial(self) -> bool:
        """True while the beginning of a frame waits for its end."""
        return bool(self._buffer)

    def receive(self, data: bytes) -> Iterator[bytes]:
        """The frames that ``data`` completes, in order; FrameError after the last good one.

        The iterator must be run to its end.
        """
        if self._error is not None:
            raise self._error
        buffer = self._buffer
        buffer += data
        width = self._width
        start = 0
        try:
            while len(buffer) - start >= width:
                length = self._length(bytes(buffer[start : start + width]))
                end = start + width + length
                if len(buffer) < end:
                    break
                frame = bytes(buffer[start + width : end])
                start = end
                yield frame
        except FrameError as error:
            self._error = error
            raise
        finally:
            del buffer[: len(buffer) if self._error else start]

    def _length(self, prefix: bytes) -> int:
        """The length a prefix says, or FrameError when it is none or above the limit."""
        if self._prefix is LengthPrefix.ASCII_4:
            if not prefix.isdigit():
                raise FrameError(
                    "length prefix is not four decimal digits: does the peer send a 2-byte "
                    "binary length?"
                )
            length = int(prefix)
        else:
            length = int.from_bytes(prefix, "big")
        if length > self._limit_bytes:
            raise FrameError(
                f"frame of {length} bytes exceeds the limit of {self._limit_bytes}"
                + self._likely(prefix)
            )
        return length

    def _likely(self, prefix: bytes) -> str:
        if self._prefix is LengthPrefix.BINARY_2 and prefix.isdigit():
            return ": looks like an ASCII length (4 digits) read as binary"
        if self._prefix is LengthPrefix.BINARY_2 and prefix[:1] in {b"\x16", b"G", b"H", b"P"}:
            return ": looks like TLS or HTTP, not ISO 8583"
        return ""
