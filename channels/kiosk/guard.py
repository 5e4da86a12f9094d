"""The outermost protocol of a terminal's connection: counts bytes, times the handshake (I11).

Twisted's WebSocket has no limit of its own: it collects fragments until the message ends. The
guard sits between TLS and HTTP, counts what came in since the last whole message, and shuts the
link when that passes the limit; memory is bounded by the limit plus one read.
"""

from collections.abc import Callable
from typing import Any, Protocol

from twisted.internet.protocol import Factory
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from twisted.python.failure import Failure
from wsproto.utilities import ProtocolError as WebSocketProtocolError

from switch.model.outcome import Millis
from switch.ports import Cancellable, Timeline

CLOSE_GRACE_MS = 1_000
"""How long a peer may take to answer our close before the socket is dropped."""


class Guarded(Protocol):
    """What the guard tells the session it guards."""

    def oversize(self) -> None: ...


class Guard(ProtocolWrapper):
    """One connection. ``session`` is set once the WebSocket stands."""

    factory: "GuardFactory"

    def __init__(self, factory: "GuardFactory", wrapped: Any) -> None:
        super().__init__(factory, wrapped)
        self.session: Guarded | None = None
        self._unread_bytes = 0
        self._closing = False
        self._timer: Cancellable | None = None

    def connectionMade(self) -> None:
        """Start the clock: whatever this connection is for must stand in time."""
        self.factory.connected += 1
        self._abort_in(self.factory.timeout_ms)
        super().connectionMade()  # type: ignore[no-untyped-call]
        if self.factory.connected > self.factory.connections_max:
            self.factory.full()
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
        if self._unread_bytes > self.factory.bytes_max and not self._closing:
            if self.session is None:
                self.abort()
            else:
                self.session.oversize()

    def message_ended(self) -> None:
        """A whole message was delivered: count anew."""
        self._unread_bytes = 0

    def established(self, session: Guarded) -> None:
        """The WebSocket stands: the handshake's clock stops."""
        self.session = session
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
        timeline = self.factory.timeline
        self._timer = timeline.call_at(Millis(timeline.now_ms() + wait_ms), self._late)

    def _late(self) -> None:
        self._timer = None
        self.abort()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class GuardFactory(WrappingFactory[Any]):
    """Admits at most ``connections_max`` at a time; one more is closed unread."""

    protocol = Guard
    noisy = False

    def __init__(
        self,
        wrapped: Factory[Any],
        timeline: Timeline,
        *,
        bytes_max: int,
        timeout_ms: int,
        connections_max: int,
        full: Callable[[], None],
    ) -> None:
        super().__init__(wrapped)  # type: ignore[no-untyped-call]
        self.timeline = timeline
        self.bytes_max = bytes_max
        self.timeout_ms = timeout_ms
        self.connected = 0
        self.connections_max = connections_max
        self.full = full
