"""Barcode and QR scanners at a serial port: a code, then CR (or LF).

Only a code scanned while somebody asks for one counts: what was held before the glass earlier must
not pay. A code taken is not taken again within ``debounce_ms``. Codes are UTF-8, or else
GB 18030; longer ones than 128 characters, and ones with control characters, are dropped.
"""

from typing import Any, Final

from terminal_agent.devices.interfaces import Completion, DeviceError
from terminal_agent.devices.serial_device import Count, SerialDevice, SerialOptions
from terminal_agent.protocol import Opaque

CODE_BYTES_MAX: Final = 512
CODE_CHARACTERS_MAX: Final = 128


class ScannerOptions(SerialOptions, frozen=True, kw_only=True):
    """A scanner says nothing by itself: ``answer_timeout_ms`` and ``poll_ms`` do nothing here."""

    debounce_ms: Count
    gap_ms: Count
    """A pause within a code for so long: what came before was half a code, and is dropped."""


class SerialScanner(SerialDevice):
    """One scanner."""

    role = "scanner"

    def __init__(self, options: ScannerOptions, reactor: Any, **world: Any) -> None:
        super().__init__(options, reactor, **world)
        self._scanner = options
        self._held = bytearray()
        self._too_long = False
        self._last = (b"", float("-inf"))
        self._byte_at = 0.0

    async def read(self, timeout_ms: int) -> Opaque:
        """See Scanner."""
        async with self._turn_of_mine():
            code: Opaque = await self._hear(timeout_ms)
            return code

    def cancel(self) -> None:
        """See Device."""
        self._give_up(Completion.CANCELED, "canceled")

    def _feed(self, data: bytes) -> None:
        now = self._reactor.seconds()
        if now - self._byte_at > self._scanner.gap_ms / 1000:
            self._forget()
        self._byte_at = now
        for byte in data:
            if byte in b"\r\n":
                line, long = bytes(self._held), self._too_long
                self._forget()
                if line and not long:
                    self._scanned(line, now)
            elif len(self._held) < CODE_BYTES_MAX:
                self._held.append(byte)
            else:
                self._too_long = True

    def _scanned(self, line: bytes, now: float) -> None:
        same = line == self._last[0] and now - self._last[1] < self._scanner.debounce_ms / 1000
        try:
            text = line.decode("utf-8")
        except UnicodeDecodeError:
            text = line.decode("gb18030", "replace")
        fit = len(text) <= CODE_CHARACTERS_MAX and text.isprintable() and "\ufffd" not in text
        if fit and not same and self._answered(Opaque(text)):
            self._last = (line, now)
            self._tell("BarcodeReader.ReadEvent")

    def _forget(self) -> None:
        self._held.clear()
        self._too_long = False

    def _unplugged(self, error: DeviceError) -> None:
        self._forget()
