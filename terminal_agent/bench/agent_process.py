"""A real ``yyt agent`` with a page, in a process of its own."""

import http.client
import json
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, BinaryIO, Final

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol

from terminal_agent.bench.memory import has_loaded, rss_kib
from terminal_agent.bench.page_reader import PageReader

READY_S: Final = 60.0
STOP_S: Final = 10.0
LOOK_S: Final = 0.002
HTTP_S: Final = 20.0
_PILLOW: Final = "/PIL/_imaging"


class AgentFailedError(Exception):
    """The agent did not come up, or ended by itself; the text is the end of its output."""


class AgentProcess:
    """One run with a configuration; its log beside it."""

    def __init__(self, reactor: Any, config: Path) -> None:
        self._reactor = reactor
        self._config = config
        self._log = config.with_name("agent.log")
        self._child: subprocess.Popen[bytes] | None = None
        self._ready: dict[str, Any] = {}
        self._pages: list[PageReader] = []

    async def start(self) -> float:
        """Run it; the seconds until it said ``agent_ready``. Raises AgentFailedError."""
        began = time.monotonic()
        # To a file, not a pipe: nobody reads it while the agent works.
        with self._log.open("wb") as log:
            self._child = self._spawned(log)
        while time.monotonic() < began + READY_S:
            found = self._said("agent_ready")
            if found is not None:
                self._ready = found
                return time.monotonic() - began
            if self._child.poll() is not None:
                break
            await _pause(self._reactor, LOOK_S)
        text = self._log.read_text("utf-8", "replace")[-2_000:]
        self.stop()
        raise AgentFailedError(text)

    async def page(self, document: str) -> PageReader:
        """Open ``kiosk`` or ``panel`` as a browser does."""
        found = re.search(rb'name="token" content="([^"]+)"', self._get(self._port, f"/{document}"))
        assert found is not None
        reader = PageReader(self._reactor, self._port, f"/{document}/ws", found[1].decode())
        await connectProtocol(TCP4ClientEndpoint(self._reactor, "127.0.0.1", self._port), reader)
        self._pages.append(reader)
        return reader

    def picture_bytes(self) -> int:
        """Have the slip of the first payment drawn; the picture's size."""
        ledger = json.loads(self._get(self._ready["control_port"], "/ledger"))
        path = f"/receipts/{ledger['told'][0]['key']}.png"
        return len(self._get(self._ready["control_port"], path))

    @property
    def rss_kib(self) -> int:
        """Its memory now."""
        assert self._child is not None
        return rss_kib(self._child.pid)

    @property
    def has_pillow(self) -> bool:
        """Whether it has loaded Pillow."""
        assert self._child is not None
        return has_loaded(self._child.pid, _PILLOW)

    def stop(self) -> None:
        """Close the pages, end the process."""
        pages, self._pages = self._pages, []
        for page in pages:
            transport: Any = page.transport
            transport.abortConnection()
        child, self._child = self._child, None
        if child is not None:
            child.terminate()
            try:
                child.wait(STOP_S)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()

    def _spawned(self, log: BinaryIO) -> "subprocess.Popen[bytes]":
        command = [sys.executable, "-m", "switch.cli", "agent", "--config", str(self._config)]
        return subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)  # noqa: S603 - ours

    @property
    def _port(self) -> int:
        return int(self._ready["page"].split(":")[2].split("/")[0])

    def _said(self, event: str) -> dict[str, Any] | None:
        for line in self._log.read_text("utf-8", "replace").splitlines():
            if f'"event": "{event}"' in line and line.endswith("}"):
                found: dict[str, Any] = json.loads(line)
                return found
        return None

    def _get(self, port: int, path: str) -> bytes:
        """Blocking: the agent is another process, and nothing is measured meanwhile."""
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=HTTP_S)
        try:
            connection.request("GET", path)
            return connection.getresponse().read()
        finally:
            connection.close()


def _pause(reactor: Any, wait_s: float) -> "Deferred[None]":
    pause: Deferred[None] = Deferred()
    reactor.callLater(wait_s, pause.callback, None)
    return pause
