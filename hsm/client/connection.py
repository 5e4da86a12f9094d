"""One connection to a key service: many commands in flight, each answer matched by its header.

Rules of headers: unique among what is in flight; one that timed out is quarantined until its late
answer came (and was dropped) or the connection is gone; an unknown one is counted and dropped; a
lost connection fails everything in flight on it.
"""

from typing import Any, Final, Protocol

from twisted.internet.defer import Deferred
from twisted.internet.protocol import Protocol as TwistedProtocol
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure

from hsm.client.config import HsmConfig
from switch.model.outcome import Millis
from switch.net.frames import FrameError, FrameReader, LengthPrefix
from switch.ports import Cancellable, Timeline

_FRAME_MAX: Final = 0xFFFF
"""What two length bytes can say: an answer in hex is twice its request."""

SILENT_TIMEOUTS_MAX: Final = 3
"""Time-outs in a row without any answer between them: then the line is dead and is dropped."""


class ConnectionFailedError(Exception):
    """The exchange failed with its connection. ``code`` is ``timeout`` or ``down``."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class Owner(Protocol):
    """Who hears how a connection fares."""

    def joined(self, connection: "HsmConnection") -> None: ...

    def answered(self, connection: "HsmConnection") -> None: ...

    def left(self, connection: "HsmConnection") -> None: ...

    def dropped_answer(self, reason: str) -> None: ...


class HsmConnection(TwistedProtocol):
    """Works over any transport; joins its owner's pool when it is connected."""

    transport: Any

    def __init__(self, owner: Owner, config: HsmConfig, timeline: Timeline) -> None:
        self._owner = owner
        self._timeline = timeline
        self._timeout_ms = config.timeout_ms
        self._header_length = config.header_length
        self._header_format = b"%%0%dX" % config.header_length
        self._headers = 16**config.header_length
        self._limit = config.in_flight_limit
        self._reader = FrameReader(LengthPrefix.BINARY_2, _FRAME_MAX)
        self._number = 0
        self._pending: dict[bytes, tuple[Deferred[bytes], int]] = {}
        self._quarantined: set[bytes] = set()
        self._silent_timeouts = 0
        self._sweep: Cancellable | None = None
        self.answered_at = Millis(0)
        self.load = 0
        """Commands the other end still owes an answer, late ones included."""

    @property
    def free(self) -> bool:
        """Whether one more command may be sent."""
        return self.load < self._limit

    def send(self, body: bytes) -> Deferred[bytes]:
        """Send a command (code and data); the Deferred gives the answer behind its header, or
        fails with ConnectionFailedError. Deadlines are kept by one timer for all."""
        header = self._new_header()
        deferred: Deferred[bytes] = Deferred()
        deadline = self._timeline.now_ms() + self._timeout_ms
        self._pending[header] = (deferred, deadline)
        self.load += 1
        length = self._header_length + len(body)
        self.transport.write(length.to_bytes(2, "big") + header + body)
        if self._sweep is None:
            self._sweep = self._timeline.call_at(Millis(deadline), self._expire)
        return deferred

    def connectionMade(self) -> None:
        if hasattr(self.transport, "setTcpNoDelay"):
            self.transport.setTcpNoDelay(True)
        self.answered_at = self._timeline.now_ms()
        self._owner.joined(self)

    def dataReceived(self, data: bytes) -> None:
        try:
            for frame in self._reader.receive(data):
                self._take(frame)
        except FrameError:
            self._owner.dropped_answer("frame")
            self.abort()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        pending, self._pending = self._pending, {}
        if self._sweep is not None:
            self._sweep.cancel()
            self._sweep = None
        self._owner.left(self)
        for deferred, _ in pending.values():
            deferred.errback(ConnectionFailedError("down"))

    def abort(self) -> None:
        """Drop the line: what is in flight fails when the transport says so."""
        if self.transport is not None:
            self.transport.abortConnection()

    def _take(self, frame: bytes) -> None:
        header = frame[: self._header_length]
        self._silent_timeouts = 0
        found = self._pending.pop(header, None)
        if found is not None:
            self.load -= 1
            self.answered_at = self._timeline.now_ms()
            found[0].callback(frame[self._header_length :])
        elif header in self._quarantined:
            self._quarantined.remove(header)
            self.load -= 1
            self._owner.dropped_answer("late")
        else:
            self._owner.dropped_answer("unknown")
            return
        self._owner.answered(self)

    def _new_header(self) -> bytes:
        # Ends: load < in_flight_limit, which is at most a quarter of all headers.
        while True:
            self._number = (self._number + 1) % self._headers
            header = self._header_format % self._number
            if header not in self._pending and header not in self._quarantined:
                return header

    def _expire(self) -> None:
        """Fail what is overdue; entries stand in the order of their deadlines."""
        self._sweep = None
        now = self._timeline.now_ms()
        overdue = []
        for header, (deferred, deadline) in self._pending.items():
            if deadline > now:
                self._sweep = self._timeline.call_at(Millis(deadline), self._expire)
                break
            overdue.append((header, deferred))
        for header, deferred in overdue:
            del self._pending[header]
            self._quarantined.add(header)
            self._silent_timeouts += 1
            deferred.errback(ConnectionFailedError("timeout"))
        if self._silent_timeouts >= SILENT_TIMEOUTS_MAX or len(self._quarantined) >= self._limit:
            # Dead, or so full of overdue commands that it could never be used again.
            self.abort()
