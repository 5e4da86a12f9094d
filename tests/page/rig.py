"""The player's process, and a page without a browser: a WebSocket on a plain socket."""

import json
import re
import socket
import sys
from pathlib import Path
from typing import Any, Self

from wsproto import ConnectionType, WSConnection
from wsproto.events import (
    CloseConnection,
    Event,
    Ping,
    RejectConnection,
    Request,
    TextMessage,
)

from tests.kiosk.rig import Process

PLAYER = str(Path(__file__).parent / "player.py")
ROOT = str(Path(__file__).parents[2])
WAIT_S = 30
GONE = -1
"""The socket ended without a goodbye."""


class Player:
    """A page to connect to, and what is shown on it."""

    def __init__(self, *, panel: bool = False, port: int = 0) -> None:
        self.process = Process(
            [sys.executable, PLAYER, str(port), "panel" if panel else "plain"],
            {"PYTHONPATH": ROOT},
        )
        ports = self.process.wait_for(lambda line: line["event"] == "ports")
        self.port = int(ports["page"])
        self.url = f"http://127.0.0.1:{self.port}"
        self._control = socket.create_connection(("127.0.0.1", ports["control"]), WAIT_S)
        self._lines = self._control.makefile("rw")

    def order(self, **order: object) -> Any:
        """One order to the player; its answer."""
        self._lines.write(json.dumps(order) + "\n")
        self._lines.flush()
        return json.loads(self._lines.readline())

    def show(self, name: str, **how: object) -> int:
        """The revision under which it is shown."""
        return int(self.order(show=name, **how))

    @property
    def taps(self) -> list[dict[str, Any]]:
        """All that came so far."""
        return list(self.order(taps=True))

    def token(self, path: str = "/kiosk") -> str:
        """As the page reads it."""
        _, _, body = fetch(self.port, path)
        found = re.search(rb'name="token" content="([^"]+)"', body)
        assert found is not None
        return found[1].decode()

    def end(self) -> None:
        """Stop the process."""
        self._lines.close()
        self._control.close()
        self.process.end()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()


def fetch(
    port: int, path: str, method: str = "GET", headers: dict[str, str] | None = None
) -> tuple[int, dict[str, str], bytes]:
    """One HTTP request with exactly these headers: status, headers in lower case, body."""
    lines = {"Host": f"127.0.0.1:{port}", "Connection": "close", **(headers or {})}
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items() if value)
    with socket.create_connection(("127.0.0.1", port), WAIT_S) as connection:
        connection.sendall(f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode())
        answer = b""
        while data := connection.recv(65_536):
            answer += data
    first, _, body = answer.partition(b"\r\n\r\n")
    status, *rest = first.decode().split("\r\n")
    found = dict(line.lower().split(": ", 1) for line in rest)
    return int(status.split()[1]), found, body


class Tab:
    """A page's WebSocket. ``status`` is not 101 when the door refused it."""

    def __init__(
        self,
        port: int,
        path: str = "/kiosk/ws",
        headers: dict[str, str] | None = None,
        receive_bytes: int = 0,
    ) -> None:
        host = f"127.0.0.1:{port}"
        extra = {"Origin": f"http://{host}", **(headers or {})}
        host = extra.pop("Host", host)
        self.socket = socket.socket()
        if receive_bytes:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        self.socket.settimeout(WAIT_S)
        self.socket.connect(("127.0.0.1", port))
        self._wire = WSConnection(ConnectionType.CLIENT)
        self._events: list[Event] = []
        self._text = ""
        self.status = 101
        pairs = [(name.encode(), value.encode()) for name, value in extra.items() if value]
        self.send(Request(host=host, target=path, extra_headers=pairs))
        first = self._next()
        if isinstance(first, RejectConnection):
            self.status = first.status_code

    def send(self, event: Event) -> None:
        """Anything that wsproto can say."""
        self.socket.sendall(self._wire.send(event))

    def say(self, message: object) -> None:
        """One JSON message."""
        self.send(TextMessage(json.dumps(message)))

    def hear(self) -> Any:
        """The next state, or the code of the goodbye (GONE when there was none)."""
        while True:
            event = self._next()
            if event is None:
                return GONE
            if isinstance(event, CloseConnection):
                return event.code
            if isinstance(event, TextMessage):
                self._text += event.data
                if event.message_finished:
                    whole, self._text = self._text, ""
                    return json.loads(whole)

    def close(self) -> None:
        """Without a goodbye, as a crashed browser."""
        self.socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _next(self) -> Event | None:
        while not self._events:
            try:
                data = self.socket.recv(65_536)
            except ConnectionResetError:
                return None
            if not data:
                return None
            self._wire.receive_data(data)
            self._events.extend(self._wire.events())
            for event in self._events:
                if isinstance(event, Ping):
                    self.send(event.response())
        return self._events.pop(0)
