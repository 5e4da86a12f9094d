"""A scanner without hardware."""

from typing import Any

from terminal_agent.devices.emulator import Emulator
from terminal_agent.devices.memory_port import cable
from terminal_agent.devices.scanner import ScannerOptions, SerialScanner


class ScannerEmulator(Emulator):
    """One scanner."""

    def scan(self, code: str, encoding: str = "utf-8") -> None:
        """Hold a code before it."""
        self.answer(code.encode(encoding) + b"\r")

    def received(self, data: bytes) -> None:
        """A scanner takes no orders."""


class EmulatedScanner(SerialScanner):
    """Driver and emulated scanner in one process; ``port`` is the link to make."""

    def __init__(self, options: ScannerOptions, reactor: Any, **world: Any) -> None:
        self.emulator = ScannerEmulator()
        self._cable, line = cable(reactor, options.port, self.emulator)
        super().__init__(options, reactor, **line, **world)

    def start(self) -> None:
        """Plug the scanner in, then see SerialDevice."""
        self._cable.plug()
        super().start()
