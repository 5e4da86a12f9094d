"""A serial port with threads of its own, for Windows.

Twisted's serial port asks there for a reactor of its own kind (``win32eventreactor``), which can
wait for 64 things at most, the page's and the link's sockets among them. Here pyserial blocks in
two threads, and the reactor hears of it on its own; that works the same on every system.
"""

import queue
import threading
from typing import Any, Final

import serial  # type: ignore[import-untyped]
from twisted.internet.error import ConnectionLost
from twisted.python.failure import Failure

READ_S: Final = 0.2
"""The reading thread looks so often whether the port was closed; it is free for the next opening
then."""
WRITE_S: Final = 30.0
"""A line that takes nothing for so long is lost."""
WRITES_MAX: Final = 64
"""Pieces that wait to be sent: drivers send one command at a time, so more is a line that stands
still, and lost."""


class ThreadedPort:
    """See ``serial_device.Port``; as an Opener, raises OSError, ValueError."""

    def __init__(self, ear: Any, options: Any, reactor: Any) -> None:
        self._ear = ear
        self._reactor = reactor
        self._serial = serial.Serial(
            options.port,
            baudrate=options.baud,
            bytesize=int(options.mode[0]),
            parity=options.mode[1],
            stopbits=int(options.mode[2:]),
            timeout=READ_S,
            write_timeout=WRITE_S,
        )
        self._closed = threading.Event()
        self._pieces: queue.Queue[bytes] = queue.Queue(WRITES_MAX)
        self._writer = threading.Thread(target=self._write_all, daemon=True)
        self._reader = threading.Thread(target=self._read_all, daemon=True)
        self._writer.start()
        self._reader.start()

    def write(self, data: bytes) -> None:
        """Send, in order."""
        try:
            self._pieces.put_nowait(data)
        except queue.Full:
            self._reactor.callLater(0, self._end)

    def close(self) -> None:
        """At once, whatever is still unsent; nothing is heard any more."""
        self._closed.set()
        self._ear = None

    # ---- in the threads --------------------------------------------------------------------------

    def _read_all(self) -> None:
        try:
            while not self._closed.is_set():
                data = self._serial.read(1)
                if data:
                    data += self._serial.read(self._serial.in_waiting)
                    self._on_reactor(self._heard, data)
        except OSError:
            self._on_reactor(self._end)
        self._closed.set()
        self._writer.join()
        self._serial.close()

    def _write_all(self) -> None:
        try:
            while not self._closed.is_set():
                try:
                    data = self._pieces.get(timeout=READ_S)
                except queue.Empty:
                    continue
                self._serial.write(data)
        except OSError:
            self._on_reactor(self._end)

    def _on_reactor(self, what: Any, *arguments: object) -> None:
        if not self._closed.is_set():
            self._reactor.callFromThread(what, *arguments)

    # ---- on the reactor's thread -----------------------------------------------------------------

    def _heard(self, data: bytes) -> None:
        if self._ear is not None:
            self._ear.dataReceived(data)

    def _end(self) -> None:
        """Unplugged, or it stands still."""
        ear = self._ear
        self.close()
        if ear is not None:
            ear.connectionLost(Failure(ConnectionLost()))
