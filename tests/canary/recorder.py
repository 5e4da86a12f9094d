"""A wire with a tape on it: what two processes say to each other goes on, and into files."""

import contextlib
import itertools
import socket
import threading
from pathlib import Path

CHUNK_BYTES = 65_536


class Recorder:
    """Listens on a free loopback port and hands everything on to ``port``. Each connection leaves
    two files in ``folder``: what the caller said, what it was answered."""

    def __init__(self, folder: Path, port: int) -> None:
        folder.mkdir(parents=True)
        self._folder = folder
        self._target = ("127.0.0.1", port)
        self._numbers = itertools.count(1)
        self._door = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []
        self.port: int = self._door.getsockname()[1]
        threading.Thread(target=self._listen, daemon=True).start()

    def stop(self) -> None:
        """Hang up on everybody."""
        for one in (self._door, *self._open):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _listen(self) -> None:
        with contextlib.suppress(OSError):  # closed by stop
            while True:
                caller, _ = self._door.accept()
                self._connect(caller, next(self._numbers))

    def _connect(self, caller: socket.socket, number: int) -> None:
        try:
            called = socket.create_connection(self._target, 5)
        except OSError:  # it is dead just now: the caller finds a closed line, as without us
            caller.close()
            return
        called.settimeout(None)
        self._open += [caller, called]
        for source, sink, name in ((caller, called, "asked"), (called, caller, "answered")):
            tape = self._folder / f"{number:03}-{name}"
            threading.Thread(target=_copy, args=(source, sink, tape), daemon=True).start()


def _copy(source: socket.socket, sink: socket.socket, tape: Path) -> None:
    with tape.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while data := source.recv(CHUNK_BYTES):
            file.write(data)
            sink.sendall(data)
    for one in (source, sink):
        with contextlib.suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)
