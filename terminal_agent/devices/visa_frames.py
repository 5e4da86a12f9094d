"""Frames of the VISA master/session-key pads. No input, no output, no clock.

Administration is ``SI body SO LRC``, work is ``STX body ETX LRC``; LRC is one byte, the XOR of body
and end mark. Between frames stand single bytes: ACK, NAK, EOT.
"""

from enum import IntEnum
from functools import reduce
from operator import xor
from typing import Final

from msgspec import Struct

ACK: Final = 0x06
NAK: Final = 0x15
EOT: Final = 0x04
FS: Final = b"\x1c"
BODY_BYTES_MAX: Final = 512
"""A frame that grows beyond is dropped."""


class Kind(IntEnum):
    """What a frame is for, by its first byte."""

    WORK = 0x02
    ADMINISTRATION = 0x0F


ENDS: Final = {Kind.WORK: 0x03, Kind.ADMINISTRATION: 0x0E}


class Frame(Struct, frozen=True):
    """A frame as it came."""

    kind: Kind
    body: bytes
    good: bool = True
    """False: its LRC is wrong; whoever sent it should send it again."""

    def __repr__(self) -> str:
        return f"<frame of {len(self.body)} bytes>"


def encode(body: bytes, kind: Kind = Kind.WORK) -> bytes:
    """A frame.

    >>> encode(b"72").hex(" ")
    '02 37 32 03 06'
    """
    covered = body + bytes([ENDS[kind]])
    return bytes([kind]) + covered + bytes([reduce(xor, covered)])


class Decoder:
    """Bytes in any portions → frames, and the control bytes between them; the rest is noise."""

    def __init__(self) -> None:
        self._held = bytearray()

    def forget(self) -> None:
        """Drop a half frame."""
        self._held.clear()

    def feed(self, data: bytes) -> list[Frame | int]:
        """What is complete now, in order."""
        out: list[Frame | int] = []
        self._held += data
        while self._held:
            first = self._held[0]
            if first not in ENDS:
                if first in (ACK, NAK, EOT):
                    out.append(first)
                del self._held[0]
                continue
            kind = Kind(first)
            end = self._held.find(ENDS[kind], 1)
            if end < 0 and len(self._held) > BODY_BYTES_MAX:
                self._held.clear()
            if end < 0 or len(self._held) < end + 2:
                break
            good = reduce(xor, self._held[1 : end + 1]) == self._held[end + 1]
            out.append(Frame(kind, bytes(self._held[1:end]), good))
            del self._held[: end + 2]
        return out
