"""What all host connections of a daemon share: the processor, the limits, the audit."""

import time
from dataclasses import dataclass
from typing import Any, Final, Protocol

from twisted.internet.defer import Deferred

from hsm.audit import AuditDown, AuditLog, RefusedDetailError
from hsm.daemon import metrics
from hsm.daemon.clients import Client
from hsm.processor import Answered, Processor

SWEEP_S: Final = 1.0
"""How often connections are looked over for silence, and what else is done once a second."""

LOG_LINES_MAX: Final = 50
"""Refused commands logged between two sweeps; the rest is only counted."""

_FAULT: Final = "41"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one client may take of the service."""

    connections_max: int
    frame_ms: int
    """The longest time between the first and the last byte of a frame, and for which a client may
    leave our answers unread."""
    idle_ms: int


class Connection(Protocol):
    """What the house knows of one connection."""

    transport: Any
    active_at: float
    stuck_since: float | None


class House:
    """Admits connections, answers their frames, and ends those that break the limits."""

    def __init__(
        self,
        processor: Processor,
        limits: Limits,
        reactor: Any,
        log: Any,
        audit: AuditLog | None = None,
    ) -> None:
        """``reactor`` gives the time; ``log`` is structlog's. Without ``audit`` nothing is
        recorded: for the published test LMK only."""
        self._processor = processor
        self._limits = limits
        self._reactor = reactor
        self._log = log
        self._audit = audit
        self._open: set[Connection] = set()
        self._log_left = LOG_LINES_MAX
        self._sweep: Any = None
        self._empty: Deferred[None] | None = None

    def now(self) -> float:
        """Seconds on the reactor's clock."""
        return float(self._reactor.seconds())

    def state(self) -> str:
        """``up``, or why commands are refused: ``locked``, or what is wrong with the audit log."""
        if self._audit is not None and self._audit.down:
            return f"audit {self._audit.down}"
        return "locked" if self._processor.service.slots.locked else "up"

    def start(self) -> None:
        """Begin to look after the connections."""
        self._sweep = self._reactor.callLater(SWEEP_S, self._look_over)

    def admit(self, connection: Connection) -> bool:
        """Count a new connection in, unless the house is full."""
        if len(self._open) >= self._limits.connections_max:
            self._refused("full")
            return False
        self._open.add(connection)
        metrics.CONNECTIONS.set(len(self._open))
        return True

    def stranger(self, who: str) -> None:
        """A connection comes from nobody we know."""
        self._refused("stranger", who=who)

    def closed(self, connection: Connection) -> None:
        """Forget a connection; a refused one was never counted."""
        self._open.discard(connection)
        metrics.CONNECTIONS.set(len(self._open))
        if self._empty is not None and not self._open:
            empty, self._empty = self._empty, None
            empty.callback(None)

    def answer(self, frame: bytes, client: Client) -> bytes:
        """Have one frame answered; record and count it, and log a refusal by name and code alone.

        No audit, no service: what cannot be recorded is answered 41.
        """
        began = time.perf_counter()
        audit = self._audit
        if audit is not None and audit.down:
            answered = self._not_recorded(frame, "other")
        else:
            answered = self._processor.answer(frame, client.allowed)
            if audit is not None and not _recorded(audit, client, answered):
                answered = self._not_recorded(frame, answered.command)
        metrics.TALLY.count(answered.command, answered.error, time.perf_counter() - began)
        if answered.error not in ("00", "01"):
            self._say(
                "command_refused",
                client=client.name,
                command=answered.command,
                error=answered.error,
                field=answered.where,
            )
        return answered.frame

    def drop(self, connection: Connection, reason: str) -> None:
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

    def _not_recorded(self, frame: bytes, command: str) -> Answered:
        return Answered(self._processor.refuse(frame, _FAULT), command, _FAULT, "audit")

    def _refused(self, reason: str, **facts: str) -> None:
        metrics.REFUSED_CONNECTIONS.labels(reason).inc()
        self._say("connection_refused", reason=reason, **facts)

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


def _recorded(audit: AuditLog, client: Client, answered: Answered) -> bool:
    try:
        try:
            audit.performed(client.name, answered.command, answered.error, answered.facts)
        except RefusedDetailError:
            # A fact that looks like a secret stays out; that the command was done does not.
            audit.performed(client.name, answered.command, answered.error)
    except AuditDown:
        return False
    return True
