"""A key service of one's own for a bench or a soak: its own process under the test LMK."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final

from hsm.address import Address, parse_address

READY_S: Final = 30.0
_LOOK_S: Final = 0.05
_TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")


class DaemonFailedError(Exception):
    """The daemon did not come up, or ended by itself; the text is its last output."""


class OwnDaemon:
    """A context: a daemon on a Unix socket in a folder of its own, both gone at the end.

    Audit log and metrics are on, and as on every Unix socket the client's user is checked.
    """

    def __init__(self, arguments: Sequence[str] = (), processor_core: int | None = None) -> None:
        """``arguments`` for ``yyt hsm serve`` besides socket and LMK; ``processor_core``: the only
        one it may use."""
        self._arguments = tuple(arguments)
        self._core = processor_core
        self._folder = tempfile.TemporaryDirectory(prefix="yyt-hsm-")
        self._log = self.folder / "daemon.log"
        self._process: subprocess.Popen[bytes] | None = None
        self.ready: dict[str, Any] = {}

    @property
    def folder(self) -> Path:
        """Removed with the daemon."""
        return Path(self._folder.name)

    def __enter__(self) -> "OwnDaemon":
        command = [sys.executable, "-m", "switch.cli", "hsm", "serve", "--test-lmk"]
        command += ["--listen", f"unix:{self.folder / 'hsm.sock'}"]
        command += ["--audit", str(self.folder / "audit"), "--metrics-port", "0", *self._arguments]
        # To a file, not a pipe: nobody reads it while the daemon works.
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(  # noqa: S603 - our own command line
                command, stdout=log, stderr=subprocess.STDOUT
            )
        try:
            self._wait_until_ready()
            if self._core is not None:
                os.sched_setaffinity(self._process.pid, {self._core})
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._end()

    @property
    def address(self) -> Address:
        """Where it listens."""
        return parse_address(self.ready["address"])

    @property
    def alive(self) -> bool:
        """Whether its process runs."""
        return self._process is not None and self._process.poll() is None

    def cpu_s(self) -> float:
        """CPU seconds it has used so far, user and system."""
        fields = self._proc("stat").rpartition(") ")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS_PER_S

    def resident_bytes(self) -> int:
        """Its memory (RSS) now."""
        return int(self._proc("statm").split()[1]) * _PAGE_BYTES

    def events(self, name: str) -> list[dict[str, Any]]:
        """Its log lines of one event so far."""
        lines = self._log.read_text(encoding="utf-8").splitlines()
        told = (json.loads(line) for line in lines if line.startswith("{"))
        return [event for event in told if event.get("event") == name]

    def signal(self, name: str) -> None:
        """Send ``STOP``, ``CONT``, ``KILL`` …"""
        if self._process is not None:
            self._process.send_signal(signal.Signals[f"SIG{name}"])

    def _proc(self, file: str) -> str:
        if self._process is None or not self.alive:
            raise DaemonFailedError(self._tail() if self._log.exists() else "ended")
        return Path(f"/proc/{self._process.pid}/{file}").read_text(encoding="ascii")

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + READY_S
        while time.monotonic() < deadline and self.alive:
            for event in self.events("ready"):
                self.ready = event
                return
            time.sleep(_LOOK_S)
        raise DaemonFailedError(self._tail())

    def _tail(self) -> str:
        return self._log.read_text(encoding="utf-8")[-2_000:]

    def _end(self) -> None:
        if self._process is not None:
            self.signal("TERM")
            self.signal("CONT")
            try:
                self._process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._folder.cleanup()
