"""The link to the switch: WebSocket over mutual TLS, dialled out, kept up, bounded.

Rules
- Reconnects for ever with back-off and jitter; after each connect it says Boot first.
- ``WebSocketClientEndpoint.connect()`` never fires when the switch refuses our certificate: every
  attempt has a timeout of its own, and the end of its connection counts as failure too.
- Half-open links are found by the heartbeat: no answer to one, and the link is cut.
- A request ends with its answer, with Lost (the link went down under it) or with Late. What Lost
  and Late mean for money is the caller's matter: the switch may have taken the request.
- Bounded (I11): open requests, bytes of one message.
"""

from collections.abc import Callable, Coroutine
from typing import Any

from msgspec import Struct
from twisted.internet import ssl
from twisted.internet.defer import Deferred, TimeoutError  # noqa: A004 - Twisted's own name
from twisted.internet.endpoints import HostnameEndpoint, wrapClientTLS
from twisted.internet.interfaces import IProtocolFactory, IStreamClientEndpoint
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from twisted.python.failure import Failure
from twisted.web.client import URI
from twisted.web.iweb import IAgentEndpointFactory
from twisted.web.websocket import WebSocketClientEndpoint, WebSocketTransport
from wsproto.utilities import LocalProtocolError
from wsproto.utilities import ProtocolError as WebSocketProtocolError
from zope.interface import implementer

from terminal_agent import protocol
from terminal_agent.certificate import Identity
from terminal_agent.config import SwitchLink
from terminal_agent.logs import get_logger

_log = get_logger("link")

HEARTBEAT_MS = 30_000
"""Until the switch says otherwise at boot."""


Connect = Callable[["Conversation"], Coroutine[Any, Any, "Conversation"]]
"""One attempt: tells the conversation what becomes of it, returns it once it stands."""


class Lost(Exception):  # noqa: N818 - a state of the world, told as one
    """No link, or it went down before the answer. ``sent`` says whether the request had left."""

    def __init__(self, sent: bool) -> None:
        super().__init__("the link is down")
        self.sent = sent


class Late(Exception):  # noqa: N818
    """No answer in time; it may still come, and is then dropped here."""


class Refused(Exception):  # noqa: N818
    """The switch answered with a fault."""

    def __init__(self, fault: protocol.Fault) -> None:
        super().__init__(f"{fault.code}: {fault.field} {fault.text}")
        self.fault = fault


class Link:
    """One terminal's link. What is handed in (``on_up`` …) is called on the reactor's thread."""

    def __init__(
        self,
        reactor: Any,
        config: SwitchLink,
        terminal: str,
        identity: Identity,
        *,
        now_ms: Callable[[], int],
        random: Callable[[], float],
        boot: Callable[[], protocol.Boot],
        heartbeat: Callable[[], protocol.Heartbeat],
        on_up: Callable[[], None],
        on_down: Callable[[], None],
        on_event: Callable[[protocol.Envelope], None],
        connect: Connect | None = None,
    ) -> None:
        """``connect``: instead of WebSocket over TLS (a bench joins it in memory)."""
        self._reactor = reactor
        self._config = config
        self._terminal = terminal
        self._identity = identity
        self._now_ms = now_ms
        self._random = random
        self._hello = boot
        self._sign_of_life = heartbeat
        self._on_up = on_up
        self._on_down = on_down
        self._on_event = on_event
        self._connect: Connect = (
            connect or WebSocketClientEndpoint(_Endpoints(reactor, identity), config.url).connect
        )
        self._open: dict[str, Deferred[protocol.Envelope]] = {}
        self._counter = 0
        self._failures = 0
        self._talk: Conversation | None = None
        self._retry: Any = None
        self._beat: Any = None
        self._stopped = False
        self._heartbeat_ms = HEARTBEAT_MS
        self._patience_ms = config.request_timeout_ms
        self.payment_ms = 0
        """How long the exchanges of one payment may take, by the switch's word at boot."""
        self.up = False

    def start(self) -> None:
        """Dial, and keep dialling."""
        self._dial()

    def stop(self) -> None:
        """Hang up for good."""
        self._stopped = True
        for call in (self._retry, self._beat):
            if call is not None and call.active():
                call.cancel()
        if self._talk is not None:
            self._talk.hang_up()

    def redial(self) -> None:
        """End this link for a new one; what is open goes on as after any loss of the link."""
        if self._talk is not None:
            self._talk.hang_up()

    async def request(
        self, name: str, body: Struct, *, idem: str = "", timeout_ms: int = 0
    ) -> protocol.Envelope:
        """Send a request and wait for its answer. Raises Lost, Late, Refused."""
        talk = self._talk
        if talk is None or not talk.established or (not self.up and name != protocol.BOOT):
            raise Lost(sent=False)
        if len(self._open) >= self._config.in_flight_max:
            raise Refused(protocol.Fault(code="busy", text="too many requests open here"))
        self._counter += 1
        request_id = str(self._counter)
        message = protocol.encode(
            protocol.Outgoing(
                v=protocol.VERSION,
                id=request_id,
                type="req",
                name=name,
                ts=self._now_ms(),
                terminal=self._terminal,
                idem=idem,
                body=body,
            )
        )
        talk.send(message)
        answer: Deferred[protocol.Envelope] = Deferred()
        answer.addTimeout((timeout_ms or self._patience_ms) / 1000, self._reactor)
        self._open[request_id] = answer
        try:
            envelope = await answer
        except TimeoutError:
            raise Late from None
        finally:
            self._open.pop(request_id, None)
        if envelope.name == protocol.ERROR:
            raise Refused(protocol.decode_reply(envelope, protocol.Fault))
        return envelope

    # ---- connecting ------------------------------------------------------------------------------

    def _dial(self) -> None:
        self._retry = None
        talk = Conversation(self._config.message_bytes_max, self._received, self._down)
        self._talk = talk
        attempt = Deferred.fromCoroutine(self._connect(talk))
        attempt.addTimeout(self._config.connect_timeout_ms / 1000, self._reactor)
        attempt.addCallbacks(self._connected, lambda failure: self._down(talk, failure))

    def _connected(self, talk: "Conversation") -> None:
        talk.established = True
        Deferred.fromCoroutine(self._boot()).addErrback(self._boot_failed)

    async def _boot(self) -> None:
        envelope = await self.request(protocol.BOOT, self._hello())
        reply = protocol.decode_reply(envelope, protocol.BootReply)
        self._identity.proved()
        self._heartbeat_ms = reply.heartbeat_ms
        self.payment_ms = reply.terminal_timeout_ms
        self._patience_ms = max(self._config.request_timeout_ms, self.payment_ms)
        self._failures = 0
        self.up = True
        _log.info("link_up", skew_ms=self._now_ms() - reply.server_ms)
        self._beat = self._reactor.callLater(self._heartbeat_ms / 1000, self._heartbeat)
        self._on_up()

    def _boot_failed(self, failure: Failure) -> None:
        failure.trap(Lost, Late, Refused, protocol.ProtocolError, OSError)
        _log.warning("boot_failed", reason=str(failure.value))
        if self._talk is not None:
            self._talk.hang_up()

    def _down(self, talk: "Conversation", failure: Failure) -> None:
        """This attempt or this link is over; once for each."""
        if talk is not self._talk:
            return
        self._talk = None
        talk.hang_up()
        if self.up or not self._failures:
            _log.warning("link_down", reason=failure.getErrorMessage())
        was_up, self.up = self.up, False
        if self._beat is not None and self._beat.active():
            self._beat.cancel()
        waiting, self._open = self._open, {}
        for answer in waiting.values():
            answer.errback(Lost(sent=True))
        if was_up:
            self._on_down()
        if self._stopped:
            return
        ceiling = self._config.reconnect_max_ms
        wait_ms = min(ceiling, self._config.reconnect_min_ms * 2 ** min(self._failures, 16))
        self._failures += 1
        jittered_ms = wait_ms * (0.5 + self._random() / 2)
        self._retry = self._reactor.callLater(jittered_ms / 1000, self._dial)

    def _heartbeat(self) -> None:
        says = self._sign_of_life()
        beat = self.request(protocol.HEARTBEAT, says, timeout_ms=self._heartbeat_ms)
        Deferred.fromCoroutine(beat).addCallbacks(self._beaten, self._missed)

    def _beaten(self, _answer: object) -> None:
        if self.up:
            self._beat = self._reactor.callLater(self._heartbeat_ms / 1000, self._heartbeat)

    def _missed(self, failure: Failure) -> None:
        failure.trap(Lost, Late, Refused, protocol.ProtocolError)
        if failure.check(Refused):
            self._beaten(failure.value)  # busy is a sign of life too
        elif self._talk is not None:
            self._talk.hang_up()

    # ---- receiving -------------------------------------------------------------------------------

    def _received(self, message: str) -> None:
        try:
            envelope = protocol.decode_told(message, self._config.message_bytes_max)
        except protocol.ProtocolError as error:
            _log.warning("bad_message", reason=str(error))
            return
        if envelope.type == "event":
            self._on_event(envelope)
            return
        answer = self._open.pop(envelope.id, None)
        if answer is not None:
            answer.callback(envelope)


class Conversation:
    """One WebSocket; conforms to Twisted's WebSocketProtocol and is its own factory."""

    def __init__(
        self,
        bytes_max: int,
        received: Callable[[str], None],
        down: Callable[["Conversation", Failure], None],
    ) -> None:
        self.bytes_max = bytes_max
        self.established = False
        self._received = received
        self._down = down
        self._transport: Any = None

    def buildProtocol(self, url: str) -> "Conversation":
        """This one."""
        return self

    def negotiationStarted(self, transport: WebSocketTransport) -> None:
        """TCP stands; TLS and the upgrade follow."""
        self._transport = transport
        self._counter.bytes_max = self.bytes_max

    def negotiationFinished(self) -> None:
        """Twisted says so after connect() fired; the link goes by connect()."""

    def textMessageReceived(self, message: str) -> None:
        """One envelope."""
        self._counter.unread_bytes = 0
        self._received(message)

    def bytesMessageReceived(self, data: bytes | bytearray) -> None:
        """No part of the protocol."""
        self.hang_up()

    def pongReceived(self, payload: bytes) -> None:
        """We send no pings: the heartbeat asks for more than a pong proves."""

    def connectionLost(self, reason: Failure) -> None:
        """Over."""
        self.established = False
        self._down(self, reason)

    def send(self, message: str) -> None:
        """One envelope out. Raises Lost when the switch has said goodbye already."""
        try:
            self._transport.sendTextMessage(message)
        except LocalProtocolError:
            self.hang_up()
            raise Lost(sent=False) from None

    def hang_up(self) -> None:
        """Drop the socket; connectionLost follows, if there was one."""
        self.established = False
        if self._transport is not None:
            self._counter.abort()

    @property
    def _counter(self) -> "_Counter":
        counter: _Counter = self._transport.transport
        return counter


class _Counter(ProtocolWrapper):
    """Between TLS and WebSocket: Twisted collects a message without any limit, this ends it."""

    bytes_max = 65_536
    unread_bytes = 0

    def dataReceived(self, data: bytes) -> None:
        self.unread_bytes += len(data)
        try:
            super().dataReceived(data)  # type: ignore[no-untyped-call]
        except WebSocketProtocolError:
            self.abort()
            return
        if self.unread_bytes > self.bytes_max:
            _log.warning("message_too_big", bytes_max=self.bytes_max)
            self.abort()

    def abort(self) -> None:
        """Drop the socket now."""
        transport: Any = self.transport
        transport.abortConnection()


@implementer(IAgentEndpointFactory)
class _Endpoints:
    """Endpoints with our certificate, trusting the terminals' authority alone."""

    def __init__(self, reactor: Any, identity: Identity) -> None:
        self._reactor = reactor
        self._identity = identity

    def endpointForURI(self, uri: URI) -> IStreamClientEndpoint:
        """One endpoint for each attempt."""
        host = uri.host.decode("ascii")
        options = ssl.optionsForClientTLS(
            host,
            trustRoot=self._identity.authority,
            clientCertificate=self._identity.choose(),
        )
        plain = HostnameEndpoint(self._reactor, host, uri.port)
        return _CountingEndpoint(wrapClientTLS(options, plain))


@implementer(IStreamClientEndpoint)
class _CountingEndpoint:
    def __init__(self, below: IStreamClientEndpoint) -> None:
        self._below = below

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[Any]:
        """The wrapped protocol, as Twisted's WebSocket code expects it."""
        wrapping: Any = WrappingFactory(protocolFactory)
        wrapping.protocol = _Counter
        wrapping.noisy = False
        connecting: Deferred[Any] = self._below.connect(wrapping)
        return connecting.addCallback(_unwrapped)


def _unwrapped(wrapper: _Counter) -> Any:
    return wrapper.wrappedProtocol
