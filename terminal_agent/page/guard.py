"""The outermost protocol of a page's connection: counts bytes, times HTTP (I11).

Twisted's WebSocket collects fragments until the message ends. The guard sits below HTTP, counts
what came in since the last whole message or request, and ends the connection above the limit.
"""

from collections.abc import Callable
from typing import Any

from twisted.internet.protocol import Factory
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from twisted.python.failure import Failure
from wsproto.utilities import ProtocolError as WebSocketProtocolError

CONNECTIONS_MAX = 32
"""A browser opens six for files, and one WebSocket for each document."""
REQUEST_BYTES_MAX = 16_384
"""Head and body of one HTTP request, or all the frames of one WebSocket message."""
HTTP_LIFE_MS = 30_000
"""How long a connection may live that is no WebSocket; a browser opens another one."""
CLOSE_GRACE_MS = 1_000
"""How long a peer may take to answer our close before the socket is dropped."""


class PageGuard(ProtocolWrapper):
    """One connection."""

    factory: "PageGuards"

    def __init__(self, factory: "PageGuards", wrapped: Any) -> None:
        super().__init__(factory, wrapped)
        self.oversize: Callable[[], None] = self.abort
        self._unread_bytes = 0
        self._closing = False
        self._timer: Any = None

    def connectionMade(self) -> None:
        """Start the clock; one connection too many is closed unread."""
        self.factory.connected += 1
        self._abort_in(HTTP_LIFE_MS)
        super().connectionMade()  # type: ignore[no-untyped-call]
        if self.factory.connected > CONNECTIONS_MAX:
            self.abort()

    def dataReceived(self, data: bytes) -> None:
        """Count, pass on, and stop at the limit."""
        if self._closing:
            return
        self._unread_bytes += len(data)
        try:
            super().dataReceived(data)  # type: ignore[no-untyped-call]
        except WebSocketProtocolError:
            # The peer went on after its close, or wrote no WebSocket at all.
            self.abort()
            return
        if self._unread_bytes > REQUEST_BYTES_MAX and not self._closing:
            self.oversize()

    def message_ended(self) -> None:
        """A whole request or message came: count anew."""
        self._unread_bytes = 0

    def upgraded(self, oversize: Callable[[], None]) -> None:
        """A WebSocket stands: its session has clocks of its own, and says goodbye."""
        self.oversize = oversize
        self._stop_timer()

    def closing(self) -> None:
        """A close was sent: hear nothing more, and do not wait long for the peer's."""
        self._closing = True
        self._abort_in(CLOSE_GRACE_MS)

    def abort(self) -> None:
        """Drop the socket now."""
        self._closing = True
        self._stop_timer()
        transport: Any = self.transport
        transport.abortConnection()

    def connectionLost(self, reason: Failure) -> None:  # type: ignore[override]
        """The end, however it came."""
        self.factory.connected -= 1
        self._stop_timer()
        super().connectionLost(reason)  # type: ignore[no-untyped-call]

    def _abort_in(self, wait_ms: int) -> None:
        self._stop_timer()
        self._timer = self.factory.reactor.callLater(wait_ms / 1000, self._late)

    def _late(self) -> None:
        self._timer = None
        self.abort()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class PageGuards(WrappingFactory[Any]):
    """Admits at most ``CONNECTIONS_MAX`` at a time."""

    protocol = PageGuard
    noisy = False

    def __init__(self, wrapped: Factory[Any], reactor: Any) -> None:
        super().__init__(wrapped)  # type: ignore[no-untyped-call]
        self.reactor = reactor
        self.connected = 0
