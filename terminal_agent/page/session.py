"""One WebSocket of a page: its token first, then the newest state out and fingers in.

Rules
- What is sent is a state, whole: a reader that is slow gets the newest one later and never a
  queue, so at most one state waits here (I11).
- A reader that answers no ping is dropped: the page comes back by itself.
- A message that is not what it must be ends the session (1008), one too big too (1009).
"""

import hmac
from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import Struct
from twisted.internet.interfaces import IPushProducer
from twisted.python.failure import Failure
from twisted.web.websocket import WebSocketTransport
from wsproto.utilities import LocalProtocolError
from zope.interface import implementer

from terminal_agent.logs import get_logger
from terminal_agent.page.guard import PageGuard

_log = get_logger("page")

MESSAGE_BYTES_MAX = 4_096
TOKEN_WAIT_MS = 5_000
"""How long a new WebSocket may take to say its token."""
PING_MS = 15_000
"""Between pings; a page that has not answered one when the next is due is dropped."""

CLOSE_GOING = 1001
CLOSE_UNSUPPORTED = 1003
CLOSE_POLICY = 1008
CLOSE_TOO_BIG = 1009
CLOSE_FULL = 1013
CLOSE_OLD_TOKEN = 4001
"""The page is of an earlier run of the agent: it must load itself anew."""


class Hello(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A page's first message."""

    token: str


class Club:
    """The sessions of one document: all show the same state.

    ``snapshot`` gives what is sent, ``heard`` takes a message and raises msgspec's DecodeError when
    it is none. ``token`` is that of this run; at most ``sessions_max`` sessions at a time.
    """

    def __init__(
        self,
        reactor: Any,
        token: str,
        *,
        sessions_max: int,
        snapshot: Callable[[], Struct],
        heard: Callable[[str], None],
    ) -> None:
        self.reactor = reactor
        self.token = token
        self.snapshot = snapshot
        self.heard = heard
        self._sessions_max = sessions_max
        self._members: list[Session] = []
        self._turn: Any = None

    @property
    def size(self) -> int:
        """Sessions that have said their token."""
        return len(self._members)

    def changed(self) -> None:
        """The state is another one: tell all once, at the end of this turn of the reactor."""
        if self._turn is None and self._members:
            self._turn = self.reactor.callLater(0, self._tell)

    def join(self, session: "Session") -> bool:
        """False: there are enough already."""
        if len(self._members) >= self._sessions_max:
            return False
        self._members.append(session)
        return True

    def leave(self, session: "Session") -> None:
        """Whether it ever came in or not."""
        if session in self._members:
            self._members.remove(session)

    def close(self) -> None:
        """The agent ends: everybody out."""
        if self._turn is not None:
            self._turn.cancel()
            self._turn = None
        for session in list(self._members):
            session.close(CLOSE_GOING)

    def _tell(self) -> None:
        self._turn = None
        message = msgspec.json.encode(self.snapshot()).decode()
        for session in list(self._members):
            session.tell(message)


@implementer(IPushProducer)
class Session:
    """Conforms to Twisted's WebSocketProtocol."""

    _transport: WebSocketTransport

    def __init__(self, club: Club, guard: PageGuard) -> None:
        self._club = club
        self._guard = guard
        self._known = False
        self._closed = False
        self._paused = False
        self._stale = False
        self._asked = False
        self._timer: Any = None

    # ---- Twisted's WebSocketProtocol -------------------------------------------------------------

    def negotiationStarted(self, transport: WebSocketTransport) -> None:
        """The upgrade was accepted."""
        self._transport = transport

    def negotiationFinished(self) -> None:
        """Take over the flow control from HTTP, and wait for the token."""
        self._guard.upgraded(self._oversize)
        self._transport.detachProducer()
        self._transport.attachProducer(self)
        self._timer = self._club.reactor.callLater(TOKEN_WAIT_MS / 1000, self._late)

    def textMessageReceived(self, message: str) -> None:
        """The token, then whatever the club hears."""
        if self._closed:
            return
        self._guard.message_ended()
        if len(message) > MESSAGE_BYTES_MAX or len(message.encode()) > MESSAGE_BYTES_MAX:
            self._oversize()
            return
        try:
            if self._known:
                self._club.heard(message)
            else:
                self._enter(msgspec.json.decode(message, type=Hello))
        except msgspec.DecodeError:
            # Not a word of it in the log: it could be anything (I12).
            _log.warning("page_message_refused")
            self.close(CLOSE_POLICY)

    def bytesMessageReceived(self, data: bytes | bytearray) -> None:
        """No part of the contract."""
        self.close(CLOSE_UNSUPPORTED)

    def pongReceived(self, payload: bytes) -> None:
        """It reads."""
        self._asked = False

    def connectionLost(self, reason: Failure) -> None:
        """The end, however it came."""
        self._closed = True
        self._stop_timer()
        self._club.leave(self)

    # ---- flow control ----------------------------------------------------------------------------

    def pauseProducing(self) -> None:
        """The reader is slow: what changes now is told once, later."""
        self._paused = True

    def resumeProducing(self) -> None:
        """It caught up: the newest state, if it missed any."""
        self._paused = False
        if self._stale:
            self._send(msgspec.json.encode(self._club.snapshot()).decode())

    def stopProducing(self) -> None:
        """The socket is gone; connectionLost follows."""

    # ---- what the club asks ----------------------------------------------------------------------

    def tell(self, message: str) -> None:
        """A new state."""
        if self._paused:
            self._stale = True
        else:
            self._send(message)

    def close(self, code: int) -> None:
        """Say goodbye; what comes in afterwards is not heard."""
        if self._closed:
            return
        self._closed = True
        self._stop_timer()
        self._club.leave(self)
        # A paused reader's producer would keep the socket open until it reads.
        self._transport.detachProducer()
        self._guard.closing()
        try:
            self._transport.loseConnection(code)
        except LocalProtocolError:
            self._guard.abort()

    def _enter(self, hello: Hello) -> None:
        if not hmac.compare_digest(hello.token.encode(), self._club.token.encode()):
            self.close(CLOSE_OLD_TOKEN)
        elif not self._club.join(self):
            _log.warning("page_refused", reason="too many pages are open")
            self.close(CLOSE_FULL)
        else:
            self._known = True
            self._send(msgspec.json.encode(self._club.snapshot()).decode())
            self._ping()

    def _ping(self) -> None:
        self._stop_timer()
        if self._asked:
            self._late()
            return
        self._asked = True
        try:
            self._transport.ping()
        except LocalProtocolError:
            self._late()
            return
        self._timer = self._club.reactor.callLater(PING_MS / 1000, self._ping_due)

    def _ping_due(self) -> None:
        self._timer = None
        self._ping()

    def _late(self) -> None:
        """No token, or no pong."""
        self._timer = None
        self._closed = True
        self._club.leave(self)
        self._guard.abort()

    def _oversize(self) -> None:
        _log.warning("page_message_too_big", bytes_max=MESSAGE_BYTES_MAX)
        self.close(CLOSE_TOO_BIG)

    def _send(self, message: str) -> None:
        if self._closed:
            return
        self._stale = False
        try:
            self._transport.sendTextMessage(message)
        except LocalProtocolError:
            self._late()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
