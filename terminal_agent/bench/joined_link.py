"""The stand-in at the kiosk's real link, joined in memory: no socket, no TLS, every message still
written and read as text. The line can be cut, and stays away for a while then."""

from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionLost, ConnectionRefusedError  # noqa: A004
from twisted.python.failure import Failure
from wsproto.utilities import LocalProtocolError

from terminal_agent.bench.stand_in import StandIn
from terminal_agent.link import Conversation

LATENCY_MS: Final = 20
"""One way."""


class JoinedLink:
    """The line to one kiosk."""

    def __init__(self, reactor: Any, stand_in: StandIn) -> None:
        self._reactor = reactor
        self._stand_in = stand_in
        self._line: _Line | None = None
        self._back_at = 0.0
        self.cuts = 0

    async def connect(self, talk: Conversation) -> Conversation:
        """See ``terminal_agent.link.Connect``."""
        await _pause(self._reactor, LATENCY_MS)
        if self._reactor.seconds() < self._back_at:
            raise ConnectionRefusedError
        self._line = _Line(self._reactor, talk, self._stand_in)
        return talk

    def cut(self, away_ms: int) -> None:
        """Nothing that is on its way arrives; nobody answers for so long."""
        self.cuts += 1
        self._back_at = self._reactor.seconds() + away_ms / 1000
        if self._line is not None:
            self._line.abort()


class _Line:
    """One connection: the kiosk's WebSocketTransport, and what stands below it."""

    bytes_max = 0
    unread_bytes = 0

    def __init__(self, reactor: Any, talk: Conversation, stand_in: StandIn) -> None:
        self._reactor = reactor
        self._talk = talk
        self._stand_in = stand_in
        self._ended = False
        talk.negotiationStarted(self)  # type: ignore[arg-type]

    @property
    def transport(self) -> "_Line":
        """What counts bytes and drops the socket."""
        return self

    def sendTextMessage(self, text: str) -> None:
        """To the stand-in."""
        if self._ended:
            raise LocalProtocolError("the line is cut")
        self._reactor.callLater(LATENCY_MS / 1000, self._arrived, text)

    def abort(self) -> None:
        """Cut."""
        if not self._ended:
            self._ended = True
            lost = Failure(ConnectionLost())
            self._reactor.callLater(0, self._talk.connectionLost, lost)

    def _arrived(self, text: str) -> None:
        if not self._ended:
            for said in self._stand_in.heard(text):
                self._reactor.callLater(LATENCY_MS / 1000, self._came, said)

    def _came(self, said: str) -> None:
        if not self._ended:
            self._talk.textMessageReceived(said)


def _pause(reactor: Any, wait_ms: int) -> "Deferred[None]":
    pause: Deferred[None] = Deferred()
    reactor.callLater(wait_ms / 1000, pause.callback, None)
    return pause
