"""The way to an IPP printer: one HTTP POST a connection, bounded in time and bytes (I11).

Over TLS the printer must show the very certificate that the kiosk has in a file. Printers sign
their own, often for a name that nobody asks for; neither an authority nor a name would tell more.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final
from urllib.parse import SplitResult, urlsplit

from OpenSSL import SSL
from twisted.internet import ssl
from twisted.internet.abstract import isIPAddress, isIPv6Address
from twisted.internet.defer import CancelledError, Deferred, TimeoutError, succeed  # noqa: A004 - Twisted's own name
from twisted.internet.endpoints import (
    HostnameEndpoint,
    TCP4ClientEndpoint,
    TCP6ClientEndpoint,
)
from twisted.internet.interfaces import (
    IOpenSSLClientConnectionCreator,
    IProtocolFactory,
    IStreamClientEndpoint,
)
from twisted.internet.protocol import Protocol, connectionDone
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure
from twisted.web.client import URI, Agent, HTTPConnectionPool, ResponseDone
from twisted.web.http import PotentialDataLoss
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgentEndpointFactory, IBodyProducer
from zope.interface import implementer

PORT: Final = 631
SCHEMES: Final = {"ipp": "http", "ipps": "https"}
ANSWER_BYTES_MAX: Final = 262_144
"""Everything that a printer may say on one connection."""
HTTP_OK: Final = 200


class Unheard(Exception):  # noqa: N818 - a state of the world, told as one
    """No usable answer came; the printer may have heard the question. Says why."""


Post = Callable[[bytes, int], "Deferred[bytes]"]
"""(body, timeout_ms) → the answer's body, or a failure with Unheard."""


def split_uri(uri: str) -> SplitResult:
    """``ipp://host[:port]/path`` or ``ipps://…``. Raises ValueError."""
    parts = urlsplit(uri)
    if parts.scheme not in SCHEMES or not parts.hostname or parts.username or parts.query:
        raise ValueError("uri must be ipp://host:631/ipp/print, or ipps://…")
    if not uri.isascii() or parts.port == 0:
        raise ValueError("uri must be ASCII, with a port from 1 to 65535")
    return parts


class HttpPost:
    """Posts to one printer. ``certificate`` is a PEM file, for ``ipps``. Raises ValueError,
    OSError."""

    def __init__(self, uri: str, certificate: str, reactor: Any) -> None:
        parts = split_uri(uri)
        tls = parts.scheme == "ipps"
        if tls != bool(certificate):
            raise ValueError("certificate and ipps stand together")
        host = parts.hostname or ""
        shown = f"[{host}]" if ":" in host else host
        address = f"{shown}:{parts.port or PORT}{parts.path or '/'}"
        self._url = f"{SCHEMES[parts.scheme]}://{address}".encode("ascii")
        self._reactor = reactor
        pinned = None
        if tls:
            pinned = _Pinned(ssl.Certificate.loadPEM(Path(certificate).read_bytes()))
        self._host = host
        self._pinned = pinned

    def __call__(self, body: bytes, timeout_ms: int) -> "Deferred[bytes]":
        """See Post. Cancelling it drops the connection, and so does its end."""
        line = _Line(self._reactor, self._host, self._pinned)
        pool = HTTPConnectionPool(self._reactor, persistent=False)
        agent = Agent.usingEndpointFactory(self._reactor, line, pool)
        headers = Headers({"Content-Type": ["application/ipp"]})
        asking: Deferred[Any] = agent.request(b"POST", self._url, headers, _Body(body))
        asking.addCallback(_read)
        asking.addTimeout(timeout_ms / 1000, self._reactor)
        return asking.addErrback(_unheard).addBoth(line.drop)


def _read(response: Any) -> "Deferred[bytes]":
    if response.code != HTTP_OK:
        raise Unheard(f"HTTP {response.code}")
    reader = _Reader()
    response.deliverBody(reader)
    return reader.done


def _unheard(failure: Failure) -> Any:
    """Whatever the network and HTTP have to say comes to the same."""
    if failure.check(Unheard):
        return failure
    causes = getattr(failure.value, "reasons", None) or [failure]
    cause = type(causes[0].value)
    if cause in (CancelledError, TimeoutError):
        raise Unheard("silent")
    raise Unheard(f"{cause.__module__}.{cause.__name__}")


class _Reader(Protocol):
    """Collects an answer; the meter bounds it."""

    def __init__(self) -> None:
        self.done: Deferred[bytes] = Deferred()
        self._parts: list[bytes] = []

    def dataReceived(self, data: bytes) -> None:
        self._parts.append(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Whole, or with an end that only the closed line marks: then the codec sees to it."""
        if self.done.called:
            return
        if reason.check(ResponseDone, PotentialDataLoss):
            self.done.callback(b"".join(self._parts))
        else:
            self.done.errback(Unheard("the answer breaks off"))


@implementer(IBodyProducer)
class _Body:
    """All at once: a document's size has a limit, and memory for it is there already."""

    def __init__(self, body: bytes) -> None:
        self._body = body
        self.length = len(body)

    def startProducing(self, consumer: Any) -> "Deferred[None]":
        consumer.write(self._body)
        return succeed(None)

    def pauseProducing(self) -> None:
        """All is written."""

    def resumeProducing(self) -> None:
        """All is written."""

    def stopProducing(self) -> None:
        """All is written."""


class _Meter(ProtocolWrapper):
    """Below HTTP: counts what comes in, and ends it."""

    heard_bytes = 0

    def dataReceived(self, data: bytes) -> None:
        self.heard_bytes += len(data)
        if self.heard_bytes > ANSWER_BYTES_MAX:
            self.abort()
        else:
            super().dataReceived(data)  # type: ignore[no-untyped-call]

    def abort(self) -> None:
        """Drop the connection now."""
        transport: Any = self.transport
        if transport is not None:
            transport.abortConnection()


@implementer(IAgentEndpointFactory, IStreamClientEndpoint)
class _Line:
    """One connection to the printer, with the meter and perhaps TLS."""

    def __init__(self, reactor: Any, host: str, pinned: "_Pinned | None") -> None:
        self._reactor = reactor
        self._host = host
        self._pinned = pinned
        self._below: Any = None
        self._meter: _Meter | None = None

    def endpointForURI(self, uri: URI) -> IStreamClientEndpoint:
        """An address needs no resolver, and no thread for one."""
        kind: Any = HostnameEndpoint
        if isIPAddress(self._host):
            kind = TCP4ClientEndpoint
        elif isIPv6Address(self._host):
            kind = TCP6ClientEndpoint
        self._below = kind(self._reactor, self._host, uri.port)
        return self

    def connect(self, protocolFactory: IProtocolFactory) -> "Deferred[Any]":
        wrapping: Any = WrappingFactory(protocolFactory)
        wrapping.protocol = _Meter
        wrapping.noisy = False
        if self._pinned is not None:
            wrapping = TLSMemoryBIOFactory(self._pinned, True, wrapping, clock=self._reactor)
        connecting: Deferred[Any] = self._below.connect(wrapping)
        return connecting.addCallback(self._connected)

    def _connected(self, outermost: Any) -> Any:
        self._meter = outermost.wrappedProtocol if self._pinned is not None else outermost
        assert isinstance(self._meter, _Meter)
        return self._meter.wrappedProtocol

    def drop(self, result: Any) -> Any:
        """Hang up; what was heard goes on."""
        if self._meter is not None:
            self._meter.abort()
        return result


@implementer(IOpenSSLClientConnectionCreator)
class _Pinned:
    """TLS with the holder of one certificate."""

    def __init__(self, certificate: ssl.Certificate) -> None:
        self._digest = certificate.digest("sha256")
        self._context = ssl.CertificateOptions().getContext()
        self._context.set_verify(SSL.VERIFY_PEER, self._is_it)

    def clientConnectionForTLS(self, tlsProtocol: Any) -> SSL.Connection:
        return SSL.Connection(self._context, None)

    def _is_it(self, _line: Any, shown: Any, _error: int, depth: int, _ok: int) -> bool:
        return depth > 0 or shown.digest("sha256") == self._digest
