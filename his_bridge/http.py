"""The bridge's HTTP client: POST over kept-alive connections, each carrying one request at a time.

Why not Agent: docs/decisions/his-http.md. The rules that money asks of it:

- A request that met no connection in time is **not sent**. From the moment its first byte was
  handed to a connection every failure is **unknown**, and it is never sent again from here (I9).
- Everything is bounded (I11): connections, queues and waits, head and body; one deadline covers
  the whole exchange, so a reply that drips in byte by byte ends at the same time as no reply.
- Bookings and cancels go before inquiries, and inquiries never hold every connection.
"""

from collections import deque
from collections.abc import Callable
from typing import Any, cast

from msgspec import Struct
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, wrapClientTLS
from twisted.internet.interfaces import IHandshakeListener, ITCPTransport
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.ssl import Certificate, optionsForClientTLS, trustRootFromCertificates
from twisted.python.failure import Failure
from zope.interface import implementer

from his_bridge.http_reader import HttpError, HttpReader, Message
from switch.model.outcome import Millis
from switch.ports import Cancellable, Timeline


class Answered(Struct, frozen=True):
    """An HTTP response, whatever its status."""

    status: int
    body: bytes


class Failed(Struct, frozen=True):
    """No response. ``sent`` False: no byte reached a transport."""

    sent: bool
    reason: str


End = Answered | Failed


class Target(Struct, frozen=True, kw_only=True):
    """Where to, and within which limits."""

    host: str
    port: int
    tls: bool
    ca_file: str
    connections: int
    inquiries_limit: int
    """Connections that inquiries may hold at once."""
    connect_timeout_ms: int
    idle_ms: int
    """A connection idle for longer is not used again (shorter than the server's own limit)."""
    queue_limit: int
    """Waiting calls per lane; one more is not sent."""
    queue_wait_ms: int
    head_limit_bytes: int
    body_limit_bytes: int


class _Call:
    """One request on its way."""

    __slots__ = (
        "connection",
        "data",
        "deadline",
        "done",
        "first_byte",
        "may_send",
        "money",
        "running",
        "timer",
    )

    def __init__(
        self,
        data: bytes,
        deadline: Millis,
        money: bool,
        first_byte: Callable[[], object] | None,
        may_send: Callable[[], bool] | None,
    ) -> None:
        self.data = data
        self.deadline = deadline
        self.money = money
        self.first_byte = first_byte
        self.may_send = may_send
        self.done: Deferred[End] = Deferred()
        self.timer: Cancellable | None = None
        self.running = False
        self.connection: _Connection | None = None

    def wake_at(self, timeline: Timeline, at: int, what: Callable[[], object]) -> None:
        """The call's one timer: a new one replaces the old."""
        self.rest()
        self.timer = timeline.call_at(Millis(at), lambda: self._fire(what))

    def rest(self) -> None:
        """No timer any more."""
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None

    def _fire(self, what: Callable[[], object]) -> None:
        self.timer = None
        what()


class HttpPool:
    """Calls to one HIS."""

    def __init__(self, reactor: Any, timeline: Timeline, target: Target) -> None:
        self._timeline = timeline
        self._target = target
        self._endpoint = _endpoint(reactor, target)
        self._idle: list[_Connection] = []
        self._open: dict[_Connection, None] = {}
        self._connecting: dict[Deferred[Protocol], _Call] = {}
        self._money: deque[_Call] = deque()
        self._inquiries: deque[_Call] = deque()
        self._inquiries_running = 0
        self._stopped = False

    def post(
        self,
        data: bytes,
        *,
        timeout_ms: int,
        money: bool,
        first_byte: Callable[[], object] | None = None,
        may_send: Callable[[], bool] | None = None,
    ) -> Deferred[End]:
        """Send one complete HTTP request; the Deferred never fails.

        ``first_byte`` is called when the answer's first bytes are here, before they are read;
        ``may_send`` just before the request's first byte is written: False = not sent (I13).
        """
        deadline = Millis(self._timeline.now_ms() + timeout_ms)
        call = _Call(data, deadline, money, first_byte, may_send)
        done, lane = call.done, self._money if money else self._inquiries
        if self._stopped:
            self._finish(call, Failed(False, "stopped"))
        elif self._may_start(call):
            self._begin(call)
        elif len(lane) >= self._target.queue_limit:
            self._finish(call, Failed(False, "queue_full"))
        else:
            lane.append(call)
            until = min(self._timeline.now_ms() + self._target.queue_wait_ms, call.deadline)
            call.wake_at(self._timeline, until, lambda: self._waited(call, lane))
        return done

    def stop(self) -> None:
        """Close every connection; waiting calls are not sent, running ones become unknown."""
        self._stopped = True
        for lane in (self._money, self._inquiries):
            while lane:
                self._finish(lane.popleft(), Failed(False, "stopped"))
        for connecting in list(self._connecting):
            connecting.cancel()
        for connection in list(self._open):
            connection.abort()

    # ---- the way of a call ---------------------------------------------------------------------

    def _may_start(self, call: _Call) -> bool:
        if not call.money and self._inquiries_running >= self._target.inquiries_limit:
            return False
        in_use = len(self._open) - len(self._idle) + len(self._connecting)
        return in_use < self._target.connections

    def _begin(self, call: _Call) -> None:
        call.running = True
        if not call.money:
            self._inquiries_running += 1
        oldest_use = self._timeline.now_ms() - self._target.idle_ms
        if self._idle and self._idle[-1].idle_since > oldest_use:
            self._send(call, self._idle.pop())
            return
        stale, self._idle = self._idle, []  # the newest is too old, so all are
        self._connect(call)
        for connection in stale:
            connection.abort()

    def _connect(self, call: _Call) -> None:
        factory = Factory.forProtocol(lambda: _Connection(self))
        connecting: Deferred[Protocol] = self._endpoint.connect(factory)
        self._connecting[connecting] = call
        until = min(self._timeline.now_ms() + self._target.connect_timeout_ms, call.deadline)
        call.wake_at(self._timeline, until, connecting.cancel)
        connecting.addCallbacks(
            lambda protocol: self._connected(connecting, cast(_Connection, protocol)),
            lambda _failure: self._not_connected(connecting),
        )

    def _connected(self, connecting: Deferred[Protocol], connection: "_Connection") -> None:
        call = self._connecting.pop(connecting)
        if not self._target.tls:
            self._send(call, connection)
            return
        until = min(self._timeline.now_ms() + self._target.connect_timeout_ms, call.deadline)
        call.wake_at(self._timeline, until, lambda: connection.abort("tls_timeout"))
        connection.greet(call)

    def greeted(self, connection: "_Connection", call: _Call) -> None:
        """The TLS handshake is done: only now can a byte of the request leave."""
        self._send(call, connection)

    def _not_connected(self, connecting: Deferred[Protocol]) -> None:
        call = self._connecting.pop(connecting)
        reason = "not_connected" if call.timer is not None else "connect_timeout"
        self._finish(call, Failed(False, "stopped" if self._stopped else reason))
        self._pump()

    def _send(self, call: _Call, connection: "_Connection") -> None:
        if call.may_send is not None and not call.may_send():
            connection.idle_since = self._timeline.now_ms()
            self._idle.append(connection)
            self._finish(call, Failed(False, "lease_gone"))
            self._pump()
            return
        call.connection = connection
        call.wake_at(self._timeline, call.deadline, lambda: self._late(call, connection))
        connection.send(call)

    def _late(self, call: _Call, connection: "_Connection") -> None:
        self._finish(call, Failed(True, "timeout"))
        connection.abort()

    def _waited(self, call: _Call, lane: deque[_Call]) -> None:
        lane.remove(call)
        self._finish(call, Failed(False, "queue_wait"))

    def _finish(self, call: _Call, end: End) -> None:
        """Tell the caller, once."""
        if call.done.called:
            return
        call.rest()
        if call.running and not call.money:
            self._inquiries_running -= 1
        call.done.callback(end)

    def _pump(self) -> None:
        for lane in (self._money, self._inquiries):
            while lane and not self._stopped and self._may_start(lane[0]):
                self._begin(lane.popleft())

    # ---- what a connection reports -------------------------------------------------------------

    def opened(self, connection: "_Connection") -> None:
        self._open[connection] = None

    def answered(self, connection: "_Connection", call: _Call, message: Message) -> None:
        if message.keep_alive and not self._stopped:
            connection.idle_since = self._timeline.now_ms()
            self._idle.append(connection)
        else:
            connection.close()
        self._finish(call, Answered(message.status, message.body))
        self._pump()

    def lost(
        self, connection: "_Connection", call: _Call | None, reason: str, *, sent: bool = True
    ) -> None:
        """The connection is of no more use; ``call`` had been handed to it."""
        self._open.pop(connection, None)
        if connection in self._idle:
            self._idle.remove(connection)
        if call is not None:
            self._finish(call, Failed(sent, reason))
        self._pump()


@implementer(IHandshakeListener)
class _Connection(Protocol):
    """One kept-alive connection."""

    transport: Any

    def __init__(self, pool: HttpPool) -> None:
        self._pool = pool
        self._call: _Call | None = None
        self._greeting: _Call | None = None
        self.idle_since = Millis(0)
        self._reader = HttpReader(
            requests=False,
            head_limit_bytes=pool._target.head_limit_bytes,
            body_limit_bytes=pool._target.body_limit_bytes,
        )

    def connectionMade(self) -> None:
        if ITCPTransport.providedBy(self.transport):
            self.transport.setTcpNoDelay(True)
            self.transport.setTcpKeepAlive(True)
        self._pool.opened(self)

    def greet(self, call: _Call) -> None:
        """``call`` waits for the TLS handshake; if that fails, it was not sent."""
        self._greeting = call

    def handshakeCompleted(self) -> None:
        call, self._greeting = self._greeting, None
        if call is not None:
            self._pool.greeted(self, call)

    def send(self, call: _Call) -> None:
        self._call = call
        self.transport.write(call.data)

    def dataReceived(self, data: bytes) -> None:
        call = self._call
        if call is None:  # bytes that nobody asked for: whose answer would the next one be?
            self.abort()
            return
        if call.first_byte is not None:
            call.first_byte()
            call.first_byte = None
        try:
            message = self._reader.feed(data)
        except HttpError as error:
            self.abort(error.code)
            return
        if message is not None:
            self._answered(call, message)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        reason_word = "connection_lost"
        if self._call is not None:
            try:
                message = self._reader.end()
            except HttpError as error:
                reason_word = error.code
            else:
                if message is not None:  # a body that ended with the connection
                    self._answered(self._call, message)
        self._give_up(reason_word)

    def _answered(self, call: _Call, message: Message) -> None:
        self._call = None
        if self._reader.pending:
            message.keep_alive = False
        self._pool.answered(self, call, message)

    def close(self) -> None:
        self.transport.loseConnection()

    def abort(self, reason: str = "stopped") -> None:
        """Give the connection up at once; the call it carries becomes unknown."""
        self._give_up(reason)
        self.transport.abortConnection()

    def _give_up(self, reason: str) -> None:
        waiting, self._greeting = self._greeting, None
        call, self._call = self._call, None
        self._pool.lost(self, call or waiting, reason, sent=waiting is None)


def _endpoint(reactor: Any, target: Target) -> Any:
    timeout_s = -(-target.connect_timeout_ms // 1000)
    plain = TCP4ClientEndpoint(reactor, target.host, target.port, timeout=timeout_s)
    if not target.tls:
        return plain
    if not target.ca_file:
        return wrapClientTLS(optionsForClientTLS(target.host), plain)
    with open(target.ca_file, "rb") as file:
        authority = Certificate.loadPEM(file.read())
    trust = trustRootFromCertificates([authority])
    return wrapClientTLS(optionsForClientTLS(target.host, trustRoot=trust), plain)
