"""Frames of the NL-PP60: ``CMD LEN data XOR``, all binary. No input, no output, no clock.

LEN is the number of data bytes, XOR that of everything before it. A good answer begins with the
command's own byte; a bad one is ``CMD & 7F``, ``01`` and an error code. The line has no start byte,
so an answer is known by its head and by the one length that it may have.
"""

from collections.abc import Mapping
from enum import IntEnum
from functools import reduce
from operator import xor
from typing import Final

from msgspec import Struct

from terminal_agent.devices.interfaces import Completion, DeviceError

DATA_BYTES_MAX: Final = 255
OVERHEAD: Final = 3


class Command(IntEnum):
    """What the driver sends. Loading master keys (80) and setting a directory up anew (D4) are the
    custodians' business and not among it."""

    WORKING_KEY = 0x81
    SELECT_PIN_KEY = 0x82
    PIN_ENTRY = 0x83
    MAC = 0x85
    RANDOM = 0xD0
    RESET = 0xD5
    DIRECTORY = 0xD6


ANSWER_BYTES: Final[Mapping[int, int]] = {
    Command.WORKING_KEY: 8,
    Command.SELECT_PIN_KEY: 8,
    Command.PIN_ENTRY: 8,
    Command.MAC: 16,
    Command.RANDOM: 8,
}
"""Data bytes of a good answer; none for the others."""

REASONS: Final = {
    0x01: (Completion.INVALID_DATA, "command length"),
    0x08: (Completion.AUTHORISATION_REQUIRED, "authentication failed"),
    0x0B: (Completion.AUTHORISATION_REQUIRED, "locked"),
    0x0D: (Completion.HARDWARE_ERROR, "check byte"),
    0x31: (Completion.INVALID_DATA, "no such directory"),
    0x61: (Completion.AUTHORISATION_REQUIRED, "no such key"),
    0x62: (Completion.INVALID_DATA, "mode"),
    0x63: (Completion.AUTHORISATION_REQUIRED, "no master key"),
    0x64: (Completion.INVALID_DATA, "working key"),
    0x65: (Completion.INVALID_DATA, "mode"),
    0x71: (Completion.SEQUENCE_ERROR, "no PIN key selected"),
    0x72: (Completion.INVALID_DATA, "mode"),
    0x74: (Completion.INVALID_DATA, "PIN length"),
    0x76: (Completion.TIME_OUT, "nothing typed"),
    0x77: (Completion.CANCELED, "canceled at the pad"),
    0x81: (Completion.INVALID_DATA, "mode"),
    0x82: (Completion.INVALID_DATA, "MAC length"),
    0x92: (Completion.HARDWARE_ERROR, "cipher chip"),
}
"""Error codes that say more than *failed*."""


class Frame(Struct, frozen=True):
    """A frame as it came."""

    head: int
    data: bytes
    good: bool = True
    """False: its XOR is wrong."""

    def __repr__(self) -> str:
        return f"<frame {self.head:02X} of {len(self.data)} bytes>"


def error_of(code: int) -> DeviceError:
    """What an error code means."""
    completion, text = REASONS.get(code, (Completion.HARDWARE_ERROR, "failed"))
    return DeviceError(completion, f"{text} ({code:02X})")


def encode(head: int, data: bytes = b"") -> bytes:
    """A frame.

    >>> encode(Command.DIRECTORY, bytes([1])).hex(" ")
    'd6 01 01 d6'
    """
    if len(data) > DATA_BYTES_MAX:
        raise ValueError("no such length of a frame")
    covered = bytes([head, len(data)]) + data
    return covered + bytes([reduce(xor, covered)])


def answers_to(command: int) -> Mapping[int, int | None]:
    """Heads and lengths that an answer may have, for the :class:`Decoder`."""
    return {command: ANSWER_BYTES.get(command, 0), command & 0x7F: 1}


class Decoder:
    """Bytes in any portions → frames, and the single bytes that belong to none (``int``).

    ``lengths`` are the heads that begin a frame, each with its number of data bytes (None: any). A
    frame whose XOR is wrong is told as a whole: what stands inside must not pass for keys. Never
    more than one frame is held.
    """

    def __init__(self, lengths: Mapping[int, int | None]) -> None:
        self._lengths = lengths
        self._held = bytearray()

    def forget(self) -> None:
        """Drop a half frame."""
        self._held.clear()

    def feed(self, data: bytes) -> list[Frame | int]:
        """What is complete now, in order."""
        out: list[Frame | int] = []
        self._held += data
        while self._held:
            end = self._end()
            if end is None:
                break
            if end:
                good = reduce(xor, self._held[:end]) == 0
                out.append(Frame(self._held[0], bytes(self._held[2 : end - 1]), good))
                del self._held[:end]
            else:
                out.append(self._held.pop(0))
        return out

    def _end(self) -> int | None:
        """Where the frame ends; None: not yet; 0: it is none."""
        head = self._held[0]
        if head not in self._lengths:
            return 0
        if len(self._held) < 2:
            return None
        length, expected = self._held[1], self._lengths[head]
        if expected is not None and length != expected:
            return 0
        end = length + OVERHEAD
        return end if len(self._held) >= end else None
