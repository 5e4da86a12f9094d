"""What ESC/POS bytes put on paper: an incremental reader, shared by the emulated printer and the
preview. It knows what receipts use; of an unknown command it skips the letter and one argument.
"""

from collections.abc import Callable, Iterator
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

LF, DLE, ESC, FS, GS = 0x0A, 0x10, 0x1B, 0x1C, 0x1D
RASTER_BYTES_MAX: Final = 262_144
"""A picture that claims more is no picture."""


class Style(Struct, frozen=True):
    """How the next text looks."""

    align: int = 0
    """0 left, 1 middle, 2 right."""
    bold: bool = False
    width: int = 1
    height: int = 1


class Line(Struct, frozen=True):
    """A line of text; empty: fed."""

    text: str
    style: Style


class Raster(Struct, frozen=True):
    """A picture: rows of whole bytes, the highest bit leftmost, 1 is black."""

    row_bytes: int
    rows: int
    data: bytes
    align: int


class Cut(Struct, frozen=True):
    """The slip falls into the patient's hand."""


class Sensor(Struct, frozen=True):
    """GS r: the printer has come as far as here, and says so."""


Mark = Line | Raster | Cut | Sensor

ARGUMENTS: Final = {
    (ESC, 0x40): 0,
    (ESC, 0x21): 1,
    (ESC, 0x2D): 1,
    (ESC, 0x32): 0,
    (ESC, 0x33): 1,
    (ESC, 0x45): 1,
    (ESC, 0x4A): 1,
    (ESC, 0x4D): 1,
    (ESC, 0x61): 1,
    (ESC, 0x64): 1,
    (ESC, 0x74): 1,
    (ESC, 0x7B): 1,
    (GS, 0x21): 1,
    (GS, 0x42): 1,
    (GS, 0x62): 1,
    (GS, 0x72): 1,
    (FS, 0x26): 0,
    (FS, 0x2E): 0,
    (FS, 0x21): 1,
    (DLE, 0x04): 1,
}
"""(lead, letter) → how many argument bytes follow."""


class Paper:
    """Bytes in any portions → marks on paper."""

    def __init__(self) -> None:
        self._held = bytearray()
        self._text = bytearray()
        self._style = Style()

    def feed(self, data: bytes) -> Iterator[Mark]:
        """What is on paper now, in order. Take it before the next portion."""
        self._held += data
        while self._held:
            used, marks = self._step()
            if not used:
                return
            del self._held[:used]
            yield from marks

    def _step(self) -> tuple[int, list[Mark]]:
        """(bytes used, marks); (0, []) when more bytes are needed."""
        held = self._held
        first = held[0]
        if first == LF:
            return 1, [self._line()]
        if first not in (DLE, ESC, FS, GS):
            self._text.append(first)
            return 1, []
        if len(held) < 2:
            return 0, []
        key = (first, held[1])
        if key == (GS, 0x56):
            return self._cut()
        if key == (GS, 0x76):
            return self._raster()
        if key == (GS, 0x28):
            return self._extended()
        count = ARGUMENTS.get(key, 1)
        if len(held) < 2 + count:
            return 0, []
        return 2 + count, self._command(key, held[2] if count else 0)

    def _command(self, key: tuple[int, int], value: int) -> list[Mark]:
        style = self._style
        match key:
            case (0x1B, 0x40):
                self._style = Style()
            case (0x1B, 0x45):
                self._style = replace(style, bold=bool(value & 1))
            case (0x1B, 0x61):
                self._style = replace(style, align=value % 48 % 3)
            case (0x1B, 0x21):
                wide, high = 1 + (value >> 5 & 1), 1 + (value >> 4 & 1)
                self._style = replace(style, bold=bool(value & 8), width=wide, height=high)
            case (0x1D, 0x21):
                self._style = replace(style, width=1 + (value >> 4 & 7), height=1 + (value & 7))
            case (0x1B, 0x64):
                begun: list[Mark] = [self._line()] if self._text else []
                return begun + [Line("", style) for _ in range(value)]
            case (0x1D, 0x72):
                return [Sensor()]
        return []

    def _line(self) -> Line:
        text, self._text = self._text.decode("gb18030", "replace"), bytearray()
        return Line(text, self._style)

    def _cut(self) -> tuple[int, list[Mark]]:
        """GS V m, with a distance from 65 on."""
        if len(self._held) < 3 or (self._held[2] >= 65 and len(self._held) < 4):
            return 0, []
        begun: list[Mark] = [self._line()] if self._text else []
        return (4 if self._held[2] >= 65 else 3), [*begun, Cut()]

    def _raster(self) -> tuple[int, list[Mark]]:
        """GS v 0 m xL xH yL yH data."""
        if len(self._held) < 8:
            return 0, []
        row_bytes = int.from_bytes(self._held[4:6], "little")
        rows = int.from_bytes(self._held[6:8], "little")
        size = row_bytes * rows
        if size > RASTER_BYTES_MAX:
            return 8, []
        if len(self._held) < 8 + size:
            return 0, []
        data = bytes(self._held[8 : 8 + size])
        return 8 + size, [Raster(row_bytes, rows, data, self._style.align)]

    def _extended(self) -> tuple[int, list[Mark]]:
        """GS ( letter pL pH …: counted, skipped."""
        if len(self._held) < 5:
            return 0, []
        size = 5 + int.from_bytes(self._held[3:5], "little")
        return (size, []) if len(self._held) >= size else (0, [])


def read_all(data: bytes) -> list[Mark]:
    """Everything that a finished document puts on paper."""
    return list(Paper().feed(data))


def text_of(marks: list[Mark], wrap: Callable[[str], str] = str) -> str:
    """The words alone."""
    return "".join(wrap(mark.text) + "\n" for mark in marks if isinstance(mark, Line))
