"""A bank host in sixty lines: sockets, framing, fields as strings. It knows nothing of hsm/."""

import fcntl
import itertools
import json
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
YYT = Path(sys.executable).with_name("yyt")


class Answer(NamedTuple):
    """One response: code and error as text, the rest as bytes."""

    header: bytes
    code: str
    error: str
    rest: bytes

    @property
    def text(self) -> str:
        """The fields as text."""
        return self.rest.decode("latin-1")


class Host:
    """One connection to the key service with headers of four characters."""

    def __init__(self, address: str) -> None:
        name, port = address.removeprefix("tcp:").rsplit(":", 1)
        self.socket = socket.create_connection((name, int(port)), timeout=10)
        self._numbers = itertools.count(1)
        self._input = b""

    def __enter__(self) -> "Host":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.socket.close()

    def send(self, message: bytes) -> None:
        """One frame."""
        self.socket.sendall(len(message).to_bytes(2, "big") + message)

    def receive(self) -> bytes:
        """The next frame without its length."""
        length = int.from_bytes(self._take(2), "big")
        return self._take(length)

    def closed(self) -> bool:
        """True when the daemon hung up without another byte."""
        try:
            return self.socket.recv(1) == b""
        except ConnectionResetError:
            return True

    def _take(self, count: int) -> bytes:
        while len(self._input) < count:
            more = self.socket.recv(65536)
            if not more:
                raise ConnectionError("the key service hung up")
            self._input += more
        taken, self._input = self._input[:count], self._input[count:]
        return taken

    def ask(self, command: str | bytes) -> Answer:
        """One command, one answer; the header must come back."""
        body = command.encode("latin-1") if isinstance(command, str) else command
        header = b"%04d" % (next(self._numbers) % 10_000)
        self.send(header + body)
        raw = self.receive()
        assert raw[:4] == header
        answer = Answer(raw[:4], raw[4:6].decode(), raw[6:8].decode(), raw[8:])
        assert answer.code == chr(body[0]) + chr(body[1] + 1)
        return answer

    def fields(self, command: str | bytes, error: str = "00") -> str:
        """The fields of an answer that must carry this error code."""
        answer = self.ask(command)
        assert answer.error == error, f"{command!r} -> {answer.error} {answer.text!r}"
        return answer.text


class Daemon:
    """The real daemon as a child process on a port of its own choice."""

    def __init__(self, *options: str, drain: bool = True) -> None:
        self.process = subprocess.Popen(
            [str(YYT), "hsm", "serve", "--test-lmk", "--listen", "tcp:127.0.0.1:0", *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=ROOT,
            env=dict(os.environ),
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError("the key service did not start")
        ready = json.loads(line)
        assert ready["event"] == "ready"
        self.address = str(ready["address"])
        self._reader = threading.Thread(target=self.process.stdout.read, daemon=True)
        if drain:
            self._reader.start()
        else:
            fcntl.fcntl(self.process.stdout, fcntl.F_SETPIPE_SZ, 4096)

    def connect(self) -> Host:
        """A new connection."""
        return Host(self.address)

    def stop(self) -> int:
        """End it and say its exit code."""
        self.process.terminate()
        try:
            code = self.process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            code = self.process.wait()
        if self._reader.is_alive():
            self._reader.join()
        assert self.process.stdout is not None
        self.process.stdout.close()
        return code
