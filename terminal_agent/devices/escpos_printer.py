"""Receipt printers that speak ESC/POS over a serial port, Chinese as GB 18030.

A slip counts as printed when the printer has worked through it and says so (GS r, answered in its
turn); before and after it the real-time status (DLE EOT) tells paper, cover and faults. Of python-
escpos the commands alone are taken: its printers load Pillow, which no slip needs.
"""

import os
import shutil
from typing import Any, Final

from escpos import capabilities  # type: ignore[import-untyped]
from escpos.constants import ESC, HW_INIT, PAPER_FULL_CUT  # type: ignore[import-untyped]

from terminal_agent.devices.interfaces import (
    Completion,
    DeviceError,
    PrinterState,
    State,
)
from terminal_agent.devices.serial_device import Count, SerialDevice, SerialOptions

if "ESCPOS_CAPABILITIES_PICKLE_DIR" not in os.environ:
    # At every import it leaves a temporary folder behind, with a list of printers for nobody.
    shutil.rmtree(capabilities.pickle_dir, ignore_errors=True)

SLIP_BYTES_MAX: Final = 65_536
ASK_OFFLINE, ASK_FAULT, ASK_PAPER = b"\x10\x04\x02", b"\x10\x04\x03", b"\x10\x04\x04"
ASK_WHEN_DONE: Final = b"\x1dr\x01"
CHINESE: Final = b"\x1c&"
FEED_TO_KNIFE: Final = ESC + b"d\x06"

UNFIT: Final = (PrinterState.PAPER_OUT, PrinterState.COVER_OPEN, State.HARDWARE_ERROR)


class EscPosOptions(SerialOptions, frozen=True, kw_only=True):
    """A printer's line, and how long a slip may take."""

    print_timeout_ms: Count


def document(text: str) -> bytes:
    """A slip as ESC/POS: reset, Chinese characters on, lines, feed, cut. What GB 18030 lacks, and
    control characters, become ``?``."""
    lines = [
        "".join(letter if letter.isprintable() else "?" for letter in line)
        for line in text.removesuffix("\n").split("\n")
    ]
    words = b"".join(line.encode("gb18030", "replace") + b"\n" for line in lines)
    return bytes(HW_INIT + CHINESE + words + FEED_TO_KNIFE + PAPER_FULL_CUT)


class EscPosPrinter(SerialDevice):
    """One printer."""

    role = "printer"

    def __init__(self, options: EscPosOptions, reactor: Any, **world: Any) -> None:
        super().__init__(options, reactor, **world)
        self._slip_timeout_ms = options.print_timeout_ms
        self._asked_when_done = False
        self._health: str = State.ONLINE

    async def print_raw(self, name: str, text: str) -> None:
        """See Printer."""
        slip = document(text)
        if len(slip) > SLIP_BYTES_MAX:
            raise DeviceError(Completion.INVALID_DATA, "the slip is too long")
        async with self._turn_of_mine():
            await self._look()
            self._must_be_fit()
            self._asked_when_done = True
            try:
                done = self._hear(self._slip_timeout_ms)
                self._send(slip + ASK_WHEN_DONE)
                sensor: int = await done
            except DeviceError as error:
                self._asked_when_done = False
                if error.completion is not Completion.TIME_OUT:
                    raise
                await self._look()
                self._must_be_fit()
                raise DeviceError(Completion.HARDWARE_ERROR, "the slip did not end") from None
            finally:
                self._asked_when_done = False
            await self._look()
            if sensor & 0x0C:
                raise DeviceError(Completion.DEVICE_NOT_READY, PrinterState.PAPER_OUT)

    async def _look(self) -> None:
        """Real-time status: 12 hex is *all well* in each of the three bytes."""
        offline: int = await self._ask(ASK_OFFLINE)
        fault: int = await self._ask(ASK_FAULT)
        paper: int = await self._ask(ASK_PAPER)
        if offline & 0x04:
            self._health = PrinterState.COVER_OPEN
        elif paper & 0x60:
            self._health = PrinterState.PAPER_OUT
        elif fault & 0x28:
            self._health = State.HARDWARE_ERROR
        else:
            self._health = PrinterState.PAPER_LOW if paper & 0x0C else State.ONLINE
        self._is(self._health)

    def _must_be_fit(self) -> None:
        if self._health == State.HARDWARE_ERROR:
            raise DeviceError(Completion.HARDWARE_ERROR, self._health)
        if self._health in UNFIT:
            raise DeviceError(Completion.DEVICE_NOT_READY, self._health)

    async def _greet(self) -> None:
        await self._look()

    def _healthy(self) -> str:
        return self._health

    def _feed(self, data: bytes) -> None:
        """Single bytes; the fixed bits tell an answer from noise."""
        for byte in data:
            fixed = byte & 0x90 == 0 if self._asked_when_done else byte & 0x93 == 0x12
            if fixed:
                self._answered(byte)
