"""A scanner without hardware."""

from pathlib import Path
from typing import Any

from terminal_agent.devices.emulator import Emulator
from terminal_agent.devices.pty_port import PtyPort
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
        super().__init__(options, reactor, **world)
        self.emulator = ScannerEmulator()
        self._cable = PtyPort(reactor, Path(options.port), self.emulator)

    def start(self) -> None:
        """Plug the scanner in, then see SerialDevice."""
        self._cable.plug()
        super().start()
