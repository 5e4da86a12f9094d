"""A page without a browser: its WebSocket, the newest state, and what a finger or hand says."""

from collections.abc import Callable
from typing import Any, Final

import msgspec
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Protocol
from twisted.python.failure import Failure
from wsproto import ConnectionType, WSConnection
from wsproto.events import AcceptConnection, Event, Ping, Request, TextMessage

WAIT_MS: Final = 200_000
"""A state that is waited for so long does not come: the bench ends with an error."""

State = dict[str, Any]


class NotShownError(Exception):
    """What was waited for did not come; names what was there instead, by screen alone."""


class PageReader(Protocol):
    """One document's WebSocket: ``path`` is ``/kiosk/ws`` or ``/panel/ws``."""

    def __init__(self, reactor: Any, port: int, path: str, token: str) -> None:
        self._reactor = reactor
        self._host = f"127.0.0.1:{port}"
        self._path = path
        self._token = token
        self._wire = WSConnection(ConnectionType.CLIENT)
        self._text = ""
        self._waiting: list[tuple[Callable[[State], bool], Deferred[State]]] = []
        self.state: State = {}
        self.states = 0
        """How many came."""
        self.gone = False

    def connectionMade(self) -> None:
        """Ask for the upgrade, as a page of the same origin."""
        origin = [(b"Origin", f"http://{self._host}".encode())]
        self._send(Request(host=self._host, target=self._path, extra_headers=origin))

    def dataReceived(self, data: bytes) -> None:
        """States."""
        self._wire.receive_data(data)
        for event in self._wire.events():
            if isinstance(event, AcceptConnection):
                self.say(token=self._token)
            elif isinstance(event, Ping):
                self._send(event.response())
            elif isinstance(event, TextMessage):
                self._text += event.data
                if event.message_finished:
                    whole, self._text = self._text, ""
                    self._came(msgspec.json.decode(whole))

    def connectionLost(self, reason: Failure) -> None:  # type: ignore[override]
        """The agent sent it away, or ended."""
        self.gone = True

    def say(self, **message: object) -> None:
        """One message."""
        self._send(TextMessage(msgspec.json.encode(message).decode()))

    def until(self, wanted: Callable[[State], bool]) -> "Deferred[State]":
        """The newest state, or the first one to come, that is as wanted. Fails with
        NotShownError."""
        found: Deferred[State] = Deferred()
        if self.state and wanted(self.state):
            found.callback(self.state)
            return found
        found.addTimeout(WAIT_MS / 1000, self._reactor, onTimeoutCancel=self._missed)
        self._waiting.append((wanted, found))
        return found

    def next(self) -> "Deferred[State]":
        """The next state, whatever it is."""
        before = self.states
        return self.until(lambda _: self.states > before)

    def _came(self, state: State) -> None:
        self.state = state
        self.states += 1
        waiting, self._waiting = self._waiting, []
        for wanted, found in waiting:
            if found.called:
                continue
            if wanted(state):
                found.callback(state)
            else:
                self._waiting.append((wanted, found))

    def _missed(self, _failure: object, _seconds: float) -> State:
        raise NotShownError(f"{self._path}: still {self.state.get('screen')}")

    def _send(self, event: Event) -> None:
        transport: Any = self.transport
        transport.write(self._wire.send(event))
