"""Frames of the ZT598 family: ``02 LLL body 03 LRC``. No input, no output, no clock.

LLL is the length of the body in three digits (``000`` from 999 on: the end is then found by its
check), LRC two hex digits, the XOR of everything between ``02`` and LRC. A body begins with the
command; in an answer with the return code. Between frames the pad sends keys as single bytes.
"""

from functools import reduce
from operator import xor
from typing import Final

from terminal_agent.devices.interfaces import Completion, DeviceError

STX: Final = 0x02
ETX: Final = 0x03
BODY_BYTES_MAX: Final = 4096
"""No command and no answer is longer; a frame that grows beyond is dropped."""
LENGTH_UNKNOWN_FROM: Final = 999

_HEAD = 4
_TAIL = 3

REASONS: Final = {
    0xDD: (Completion.FRAUD_ATTEMPT, "tampered with"),
    0xE0: (Completion.HARDWARE_ERROR, "battery low"),
    0xE1: (Completion.AUTHORISATION_REQUIRED, "no import key"),
    0xE2: (Completion.AUTHORISATION_REQUIRED, "no master key"),
    0xE3: (Completion.INVALID_DATA, "key length"),
    0xE4: (Completion.AUTHORISATION_REQUIRED, "no such key"),
    0xE5: (Completion.AUTHORISATION_REQUIRED, "no key of this use"),
    0xE6: (Completion.INVALID_DATA, "key parity"),
    0xE7: (Completion.INVALID_DATA, "check value"),
    0xE8: (Completion.INVALID_DATA, "command length"),
    0xE9: (Completion.INVALID_DATA, "data"),
    0xEB: (Completion.INVALID_DATA, "parameter"),
    0xEC: (Completion.AUTHORISATION_REQUIRED, "authentication failed"),
    0xED: (Completion.AUTHORISATION_REQUIRED, "authentication locked"),
    0xEE: (Completion.TIME_OUT, "no key pressed"),
    0xEF: (Completion.SEQUENCE_ERROR, "nothing was typed"),
    0xF8: (Completion.SEQUENCE_ERROR, "input mode"),
    0xFB: (Completion.SEQUENCE_ERROR, "command locked"),
    0xFC: (Completion.USER_ERROR, "PIN length"),
    0xFF: (Completion.FRAUD_ATTEMPT, "taken off its mounting"),
}
"""Return codes that say more than *failed*; 60 to 9F, and A3, are good."""


def is_good(code: int) -> bool:
    """Whether a return code says that the command succeeded."""
    return 0x60 <= code <= 0x9F or code == 0xA3


def error_of(code: int) -> DeviceError:
    """What a bad return code means."""
    completion, text = REASONS.get(code, (Completion.HARDWARE_ERROR, "failed"))
    return DeviceError(completion, f"{text} ({code:02X})")


def encode(body: bytes) -> bytes:
    """A frame.

    >>> encode(b"I").hex(" ")
    '02 30 30 31 49 03 37 42'
    """
    if not 0 < len(body) <= BODY_BYTES_MAX:
        raise ValueError("no such length of a frame")
    length = len(body) if len(body) < LENGTH_UNKNOWN_FROM else 0
    covered = b"%03d%b\x03" % (length, body)
    return b"\x02%b%02X" % (covered, reduce(xor, covered))


class Decoder:
    """Bytes in any portions → bodies (``bytes``) and the single bytes between frames (``int``).

    A frame whose length or check is wrong is dropped up to the next ``02``: what stands inside
    must not pass for keys. Noise that promises a long frame makes the exchange time out.
    """

    def __init__(self) -> None:
        self._held = bytearray()

    def forget(self) -> None:
        """Drop a half frame."""
        self._held.clear()

    def feed(self, data: bytes) -> list[bytes | int]:
        """What is complete now, in order."""
        out: list[bytes | int] = []
        self._held += data
        while self._held:
            if self._held[0] != STX:
                out.append(self._held.pop(0))
                continue
            end = self._end()
            if end is None:
                break
            if end:
                out.append(bytes(self._held[_HEAD : end - _TAIL]))
                del self._held[:end]
            else:
                after = self._held.find(STX, 1)
                del self._held[: after if after > 0 else len(self._held)]
        return out

    def _end(self) -> int | None:
        """Where the frame ends; None: not yet; 0: it is none."""
        held = self._held
        digits = bytes(held[1:_HEAD])
        if digits and not digits.isdigit():
            return 0
        if len(held) < _HEAD:
            return None
        length = int(digits)
        if length:
            end = _HEAD + length + _TAIL
            if len(held) < end:
                return None
            return end if self._checks(end) else 0
        at = held.find(ETX, _HEAD + 1)
        while at >= 0:
            if len(held) < at + _TAIL:
                return None
            if self._checks(at + _TAIL):
                return at + _TAIL
            at = held.find(ETX, at + 1)
        return None if len(held) <= BODY_BYTES_MAX else 0

    def _checks(self, end: int) -> bool:
        etx = end - _TAIL
        lrc = b"%02X" % reduce(xor, self._held[1 : etx + 1])
        return self._held[etx] == ETX and bytes(self._held[etx + 1 : end]).upper() == lrc
