"""Host connections: frames in, answers out in order, and all of it bounded (I11)."""

import time
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.protocols.basic import Int16StringReceiver
from twisted.python.failure import Failure

from hsm.daemon import metrics
from hsm.daemon.hardening import peer_uid
from hsm.policy import FRAME_MAX
from hsm.processor import Processor

SWEEP_S = 1.0
"""How often connections are looked over for silence."""

LOG_LINES_MAX = 50
"""Refused commands logged between two sweeps; the rest is only counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one client may take of the service."""

    connections_max: int
    frame_ms: int
    """The longest time between the first and the last byte of a frame, and for which a client may
    leave our answers unread."""
    idle_ms: int


class HostConnection(Int16StringReceiver):
    """One host's connection. Answers go out in the order of their requests."""

    MAX_LENGTH = FRAME_MAX
    transport: Any

    def __init__(self, host: "HostFactory") -> None:
        self._host = host
        self._answers: list[bytes] = []
        self._received = self._consumed = 0
        self.active_at = 0.0
        self.stuck_since: float | None = None
        """Since when half a frame has been waiting, or our answers have been left unread."""

    def connectionMade(self) -> None:
        self.active_at = self._host.now()
        if not self._host.admit(self):
            self.paused = True
            self.transport.loseConnection()
            return
        if hasattr(self.transport, "setTcpNoDelay"):
            self.transport.setTcpNoDelay(True)
        # As producer of our own answers we stop reading when the client stops reading them.
        self.transport.registerProducer(self, True)

    def dataReceived(self, data: bytes) -> None:
        self.active_at = self._host.now()
        self._received += len(data)
        consumed = self._consumed
        super().dataReceived(data)  # type: ignore[no-untyped-call]
        if self._answers:
            self.transport.write(b"".join(self._answers))
            self._answers.clear()
        if self.paused:
            return
        if self._received == self._consumed:
            self.stuck_since = None
        elif self.stuck_since is None or self._consumed > consumed:
            self.stuck_since = self.active_at

    def stringReceived(self, string: bytes) -> None:
        self._consumed += 2 + len(string)
        frame = self._host.answer(string)
        self._answers.append(len(frame).to_bytes(2, "big"))
        self._answers.append(frame)

    def lengthLimitExceeded(self, length: int) -> None:
        self._host.drop(self, "frame_too_long")

    def pauseProducing(self) -> None:
        super().pauseProducing()  # type: ignore[no-untyped-call]
        self.stuck_since = self._host.now()

    def resumeProducing(self) -> None:
        self.stuck_since = None
        super().resumeProducing()  # type: ignore[no-untyped-call]

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._host.closed(self)


class HostFactory(Factory):
    """All connections of one listener, and what they share."""

    noisy = False

    def __init__(
        self,
        processor: Processor,
        limits: Limits,
        uids: Collection[int],
        reactor: Any,
        log: Any,
    ) -> None:
        """``uids`` may use a Unix socket; ``reactor`` gives the time; ``log`` is structlog's."""
        self._processor = processor
        self._limits = limits
        self._uids = frozenset(uids)
        self._reactor = reactor
        self._log = log
        self._open: set[HostConnection] = set()
        self._log_left = LOG_LINES_MAX
        self._sweep: Any = None
        self._empty: Deferred[None] | None = None

    def buildProtocol(self, addr: IAddress | None) -> Protocol:
        return HostConnection(self)

    def now(self) -> float:
        """Seconds on the reactor's clock."""
        return float(self._reactor.seconds())

    def startFactory(self) -> None:
        self._sweep = self._reactor.callLater(SWEEP_S, self._look_over)

    def admit(self, connection: HostConnection) -> bool:
        """Count a new connection in, unless the house is full or the user is a stranger."""
        uid = peer_uid(connection.transport)
        reason = ""
        if len(self._open) >= self._limits.connections_max:
            reason = "full"
        elif uid is not None and uid not in self._uids:
            reason = "uid"
        if reason:
            metrics.REFUSED_CONNECTIONS.labels(reason).inc()
            self._say("connection_refused", reason=reason, uid=uid)
            return False
        self._open.add(connection)
        metrics.CONNECTIONS.set(len(self._open))
        return True

    def closed(self, connection: HostConnection) -> None:
        """Forget a connection; a refused one was never counted."""
        self._open.discard(connection)
        metrics.CONNECTIONS.set(len(self._open))
        if self._empty is not None and not self._open:
            empty, self._empty = self._empty, None
            empty.callback(None)

    def answer(self, frame: bytes) -> bytes:
        """Have one frame answered; count it, and log a refusal by name and code alone."""
        began = time.perf_counter()
        answered = self._processor.answer(frame)
        metrics.count(answered.command, answered.error, time.perf_counter() - began)
        if answered.error not in ("00", "01"):
            self._say(
                "command_refused",
                command=answered.command,
                error=answered.error,
                field=answered.where,
            )
        return answered.frame

    def drop(self, connection: HostConnection, reason: str) -> None:
        """End a connection that broke the framing or its time limits."""
        metrics.DROPPED_CONNECTIONS.labels(reason).inc()
        self._say("connection_dropped", reason=reason)
        connection.transport.abortConnection()

    def close(self) -> Deferred[None]:
        """Let every answer out and close all connections; fires when none is left."""
        if self._sweep is not None and self._sweep.active():
            self._sweep.cancel()
        done: Deferred[None] = Deferred()
        if not self._open:
            done.callback(None)
            return done
        self._empty = done
        for connection in tuple(self._open):
            connection.transport.loseConnection()
        return done

    def abort(self) -> None:
        """Close what :meth:`close` could not, at once."""
        for connection in tuple(self._open):
            connection.transport.abortConnection()

    def _look_over(self) -> None:
        now = self.now()
        self._log_left = LOG_LINES_MAX
        for connection in tuple(self._open):
            stuck = connection.stuck_since
            if stuck is not None and (now - stuck) * 1000 >= self._limits.frame_ms:
                self.drop(connection, "slow")
            elif (now - connection.active_at) * 1000 >= self._limits.idle_ms:
                self.drop(connection, "idle")
        self._sweep = self._reactor.callLater(SWEEP_S, self._look_over)

    def _say(self, event: str, **facts: object) -> None:
        if self._log_left > 0:
            self._log_left -= 1
            self._log.warning(event, **facts)
