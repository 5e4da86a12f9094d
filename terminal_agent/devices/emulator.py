"""What all emulated devices share: they answer at a line, and can misbehave when told to."""

from collections import deque
from collections.abc import Callable
from enum import StrEnum
from typing import Final

FAULTS_MAX: Final = 64
"""Faults that can be ordered ahead; older ones fall out."""
NOISE: Final = b"\x00\xff\x55\x02\x39\xaa\x03"


class Fault(StrEnum):
    """What goes wrong with the next answer."""

    SILENT = "silent"
    GARBAGE = "garbage"
    """Noise comes before the answer."""
    HALF = "half"
    """The answer breaks off."""
    FLIPPED = "flipped"
    """One bit of the answer is wrong."""
    SPLIT = "split"
    """Not a fault really: the answer comes byte by byte."""
    NONE = "none"


class Emulator:
    """The device's end of a line."""

    def __init__(self) -> None:
        self._write: Callable[[bytes], object] | None = None
        self._faults: deque[Fault] = deque(maxlen=FAULTS_MAX)

    def attach(self, write: Callable[[bytes], object]) -> None:
        """The cable is in."""
        self._write = write

    def detach(self) -> None:
        """The cable is out; a device without power forgets what it was doing."""
        self._write = None

    def misbehave(self, *faults: Fault) -> None:
        """What goes wrong with the next answers, in order."""
        self._faults.extend(faults)

    def received(self, data: bytes) -> None:
        """Bytes from the kiosk."""
        raise NotImplementedError

    def send(self, data: bytes) -> None:
        """Send as it is: keys, unasked events."""
        if self._write is not None:
            self._write(data)

    def answer(self, data: bytes) -> None:
        """Send an answer, or what a fault makes of it."""
        fault = self._faults.popleft() if self._faults else Fault.NONE
        match fault:
            case Fault.SILENT:
                return
            case Fault.GARBAGE:
                self.send(NOISE + data)
            case Fault.HALF:
                self.send(data[: max(1, len(data) // 2)])
            case Fault.FLIPPED:
                self.send(data[:-1] + bytes([data[-1] ^ 1]))
            case Fault.SPLIT:
                for byte in data:
                    self.send(bytes([byte]))
            case Fault.NONE:
                self.send(data)
