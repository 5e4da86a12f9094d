"""CCNET frames: ``02 address length body CRC``. No input, no output, no clock.

Length counts the whole frame; the CRC is CCITT's, reflected (8408), starting at zero, its low byte
first.
"""

from typing import Final

SYNC: Final = 0x02
BILL_VALIDATOR: Final = 0x03
OVERHEAD: Final = 5

RESET, POLL, ENABLE, STACK, RETURN = b"\x30", b"\x33", b"\x34", b"\x35", b"\x36"
ACK, NAK = b"\x00", b"\xff"


def _table() -> tuple[int, ...]:
    table = []
    for value in range(256):
        crc = value
        for _ in range(8):
            crc = crc >> 1 ^ 0x8408 if crc & 1 else crc >> 1
        table.append(crc)
    return tuple(table)


_TABLE: Final = _table()


def crc_of(data: bytes) -> bytes:
    """The check of a frame's beginning.

    >>> crc_of(bytes.fromhex("02 03 06 33")).hex()
    'da81'
    """
    crc = 0
    for byte in data:
        crc = crc >> 8 ^ _TABLE[(crc ^ byte) & 0xFF]
    return crc.to_bytes(2, "little")


def encode(body: bytes) -> bytes:
    """A frame to or from the bill validator."""
    head = bytes([SYNC, BILL_VALIDATOR, len(body) + OVERHEAD]) + body
    return head + crc_of(head)


class Decoder:
    """Bytes in any portions → bodies, checked; everything else is noise."""

    def __init__(self) -> None:
        self._held = bytearray()

    def forget(self) -> None:
        """Drop a half frame."""
        self._held.clear()

    def feed(self, data: bytes) -> list[bytes]:
        """What is complete now."""
        out: list[bytes] = []
        self._held += data
        while len(self._held) >= 3:
            length = self._held[2]
            if self._held[0] != SYNC or self._held[1] != BILL_VALIDATOR or length <= OVERHEAD:
                del self._held[0]
                continue
            if len(self._held) < length:
                break
            frame = bytes(self._held[:length])
            if crc_of(frame[:-2]) == frame[-2:]:
                out.append(frame[3:-2])
                del self._held[:length]
            else:
                del self._held[0]
        return out
