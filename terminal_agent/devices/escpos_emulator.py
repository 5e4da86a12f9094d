"""A receipt printer without hardware: slips become text and, asked for, pictures; its paper ends,
its cover opens."""

from typing import Any, Final

from terminal_agent.devices.emulator import Emulator
from terminal_agent.devices.escpos_paper import Cut, Line, Paper, Sensor, text_of
from terminal_agent.devices.escpos_printer import EscPosOptions, EscPosPrinter
from terminal_agent.devices.memory_port import cable

SLIPS_MAX: Final = 100
"""Slips remembered; older ones are thrown away."""
WAITING_BYTES_MAX: Final = 262_144
"""A printer without paper holds so much; more is lost, as in a real one's buffer."""


class EscPosEmulator(Emulator):
    """One printer."""

    def __init__(self) -> None:
        super().__init__()
        self._paper = Paper()
        self._raw = bytearray()
        self._marks: list[Any] = []
        self._waiting = bytearray()
        self.slips: list[tuple[str, bytes]] = []
        """(text, bytes) of each slip that was cut."""
        self.cuts = 0
        """How many were, ever."""
        self.lines_left: int | None = None
        """How much paper there is; None: plenty."""
        self.cover_open = False
        self.broken = False
        self.near_end = False

    def refill(self) -> None:
        """New paper; the printer goes on with what it held back."""
        self.lines_left = None
        self._work(b"")

    def received(self, data: bytes) -> None:
        """Real-time questions are answered at once, all else in its turn."""
        at = data.find(b"\x10\x04")
        while at >= 0 and at + 2 < len(data):
            self._work(data[:at])
            self._tell(data[at + 2])
            data = data[at + 3 :]
            at = data.find(b"\x10\x04")
        self._work(data)

    @property
    def _is_out(self) -> bool:
        return self.lines_left is not None and self.lines_left <= 0

    def _tell(self, number: int) -> None:
        low = 0x0C if self.near_end or self._is_out else 0
        status = {
            2: (0x04 if self.cover_open else 0) | (0x20 if self._is_out else 0),
            3: 0x08 if self.broken else 0,
            4: low | (0x60 if self._is_out else 0),
        }
        self.answer(bytes([0x12 | status.get(number, 0)]))

    def _work(self, data: bytes) -> None:
        self._waiting += data[: WAITING_BYTES_MAX - len(self._waiting)]
        while self._waiting and not (self._is_out or self.cover_open):
            byte = bytes(self._waiting[:1])
            del self._waiting[0]
            self._raw += byte
            for mark in self._paper.feed(byte):
                self._mark(mark)

    def _mark(self, mark: Any) -> None:
        if isinstance(mark, Line) and self.lines_left is not None:
            self.lines_left -= 1
        if isinstance(mark, Sensor):
            self.answer(bytes([0x0F if self._is_out else 0x03 if self.near_end else 0x00]))
        elif isinstance(mark, Cut):
            self.slips = [*self.slips[1 - SLIPS_MAX :], (text_of(self._marks), bytes(self._raw))]
            self._marks, self._raw = [], bytearray()
            self.cuts += 1
        else:
            self._marks.append(mark)


class EmulatedPrinterOptions(EscPosOptions, frozen=True, kw_only=True):
    """A printer that is not there: ``port`` is the link to make."""


class EmulatedEscPos(EscPosPrinter):
    """Driver and emulated printer in one process, for demonstrations."""

    def __init__(self, options: EmulatedPrinterOptions, reactor: Any, **world: Any) -> None:
        self.emulator = EscPosEmulator()
        self._cable, line = cable(reactor, options.port, self.emulator)
        super().__init__(options, reactor, **line, **world)

    def start(self) -> None:
        """Plug the printer in, then see SerialDevice."""
        self._cable.plug()
        super().start()
