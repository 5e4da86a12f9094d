"""One connection to a key service: many commands in flight, each answer matched by its header.

Rules of headers: unique among what is in flight; one that timed out is quarantined until its late
answer came (and was dropped) or the connection is gone; an unknown one is counted and dropped; a
lost connection fails everything in flight on it.
"""

from collections.abc import Callable
from typing import Any, Final, Protocol

from OpenSSL.SSL import Error as TlsError
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IHandshakeListener
from twisted.internet.protocol import Protocol as TwistedProtocol
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from hsm.client.config import HsmConfig
from hsm.tls import peer_name
from switch.model.outcome import Millis
from switch.net.frames import FrameError, FrameReader, LengthPrefix
from switch.ports import Cancellable, Timeline

_FRAME_MAX: Final = 0xFFFF
"""What two length bytes can say: an answer in hex is twice its request."""


class ConnectionFailedError(Exception):
    """The exchange failed with its connection. ``code`` is ``timeout`` or ``down``."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class Owner(Protocol):
    """Who hears how a connection fares."""

    def connected(self, connection: "HsmConnection") -> None:
        """It has its transport, and over TLS the right name at the other end."""
        ...

    def answered(self, connection: "HsmConnection") -> None: ...

    def refused(self, code: bytes) -> None:
        """A command was answered with this error, which may be the service's own trouble."""
        ...

    def left(self, connection: "HsmConnection", why: str) -> None: ...

    def dropped_answer(self, reason: str) -> None: ...


@implementer(IHandshakeListener)
class HsmConnection(TwistedProtocol):
    """Works over any transport; tells its owner what becomes of it."""

    transport: Any

    def __init__(
        self, member: Owner, config: HsmConfig, timeline: Timeline, peer: str, sign_of_life: bytes
    ) -> None:
        """``member`` owns it; ``peer`` is the name the other end must prove over TLS, empty
        without TLS; ``sign_of_life`` is the command that every device answers."""
        self.member = member
        self._timeline = timeline
        self._peer = peer
        self._sign_of_life = sign_of_life
        self._timeout_ms = config.timeout_ms
        self._silence_ms = config.silence_ms
        self._echo_interval_ms = config.echo_interval_ms
        self._header_length = config.header_length
        self._header_format = b"%%0%dX" % config.header_length
        self._headers = 16**config.header_length
        self._limit = config.in_flight_limit
        self._reader = FrameReader(LengthPrefix.BINARY_2, _FRAME_MAX)
        self._number = 0
        self._pending: dict[bytes, tuple[Deferred[bytes], int]] = {}
        self._quarantined: set[bytes] = set()
        self._sweep: Cancellable | None = None
        self._failure = "down"
        self._why = ""
        self.began_at = timeline.now_ms()
        self._quiet_since = self.began_at
        """The last answer, or the first command after a time with nothing owed."""
        self._doubted_at: Millis | None = None
        self.load = 0
        """Commands the other end still owes an answer, late ones included."""

    @property
    def free(self) -> bool:
        """Whether one more command may be sent."""
        return self.load < self._limit

    @property
    def doubtful(self) -> bool:
        """Whether a sign of life has been asked for and has not come yet."""
        return self._doubted_at is not None

    def send(self, body: bytes) -> Deferred[bytes]:
        """Send a command (code and data); the Deferred gives the answer behind its header, or
        fails with ConnectionFailedError. Deadlines are kept by one timer for all."""
        header = self._new_header()
        deferred: Deferred[bytes] = Deferred()
        now = self._timeline.now_ms()
        deadline = now + self._timeout_ms
        self._pending[header] = (deferred, deadline)
        if self.load == 0:
            self._quiet_since = now
        self.load += 1
        length = self._header_length + len(body)
        self.transport.write(length.to_bytes(2, "big") + header + body)
        if self._sweep is None:
            self._sweep = self._timeline.call_at(Millis(deadline), self._expire)
        return deferred

    def watch(self) -> None:
        """Called often: who owes an answer, or was quiet too long, is asked for a sign of life;
        whoever gives none within ``silence_ms`` is dropped."""
        now = self._timeline.now_ms()
        if self._doubted_at is not None:
            if now - self._doubted_at >= self._silence_ms:
                self.drop("silent", "timeout")
        elif now - self._quiet_since >= (self._silence_ms if self.load else self._echo_interval_ms):
            self.doubt()

    def doubt(self) -> None:
        """Ask for a sign of life, even above the limit of commands in flight."""
        if self._doubted_at is None:
            self._doubted_at = self._timeline.now_ms()
            self.send(self._sign_of_life).addErrback(_let_go)

    def connectionMade(self) -> None:
        if hasattr(self.transport, "setTcpNoDelay"):
            self.transport.setTcpNoDelay(True)
        if not self._peer:
            self.member.connected(self)

    def handshakeCompleted(self) -> None:
        name = peer_name(self.transport)
        if name != self._peer:
            self.drop(f"it is {name}, not {self._peer}")
        else:
            self.member.connected(self)

    def dataReceived(self, data: bytes) -> None:
        try:
            for frame in self._reader.receive(data):
                self._take(frame)
        except FrameError:
            self.member.dropped_answer("frame")
            self.drop("no frames of this protocol")

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        pending, self._pending = self._pending, {}
        if self._sweep is not None:
            self._sweep.cancel()
            self._sweep = None
        tls = reason.check(TlsError) is not None
        self.member.left(self, self._why or ("TLS refused" if tls else "connection lost"))
        for deferred, _ in pending.values():
            deferred.errback(ConnectionFailedError(self._failure))

    def drop(self, why: str, failure: str = "down") -> None:
        """End the line for this reason; what is in flight then fails as ``failure``."""
        self._why, self._failure = why, failure
        if self.transport is not None:
            self.transport.abortConnection()

    def _take(self, frame: bytes) -> None:
        header = frame[: self._header_length]
        found = self._pending.pop(header, None)
        if found is None and header not in self._quarantined:
            self.member.dropped_answer("unknown")
            return
        self.load -= 1
        self._quiet_since = self._timeline.now_ms()
        self._doubted_at = None
        if found is not None:
            found[0].callback(frame[self._header_length :])
        else:
            self._quarantined.remove(header)
            self.member.dropped_answer("late")
        self.member.answered(self)

    def _new_header(self) -> bytes:
        # Ends: load is at most in_flight_limit and a few signs of life, and a quarter of all
        # headers is more than the limit.
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
            deferred.errback(ConnectionFailedError("timeout"))
        if len(self._quarantined) >= self._limit:
            self.drop("too many answers overdue", "timeout")


def _let_go(_failure: Failure) -> None:
    """A missing sign of life has already counted against its connection."""


Connect = Callable[[Any, Callable[[], HsmConnection]], Deferred[Any]]
"""Open a transport to an Address and put the protocol made by the second argument on it."""
