"""The stand-in behind a real WebSocket over TLS, for a real agent's process."""

from pathlib import Path
from typing import Any

from twisted.internet import ssl
from twisted.python.failure import Failure
from twisted.web.resource import Resource
from twisted.web.server import Request, Site
from twisted.web.websocket import WebSocketResource, WebSocketTransport

from terminal_agent.bench.stand_in import StandIn
from terminal_agent.certificate import CERTIFICATE, KEY


class StandInServer:
    """Listens on a loopback port of its own with the pair in ``folder``. Raises OSError."""

    def __init__(self, reactor: Any, folder: Path, stand_in: StandIn) -> None:
        root = Resource()
        root.putChild(b"kiosk", _Socket(stand_in))
        site = Site(root, timeout=None, reactor=reactor)
        site.noisy = False
        pem = (folder / KEY).read_bytes() + (folder / CERTIFICATE).read_bytes()
        certificate = ssl.PrivateCertificate.loadPEM(pem)
        self._listening = reactor.listenSSL(
            0, site, certificate.options(certificate), interface="127.0.0.1"
        )
        self.port = int(self._listening.getHost().port)

    def stop(self) -> None:
        """Listen no more."""
        self._listening.stopListening()


class _Socket(WebSocketResource):
    def __init__(self, stand_in: StandIn) -> None:
        super().__init__(self)
        self._stand_in = stand_in

    def buildProtocol(self, request: Request) -> "_Session":
        """One kiosk's link."""
        return _Session(self._stand_in)


class _Session:
    """Conforms to Twisted's WebSocketProtocol."""

    _transport: WebSocketTransport

    def __init__(self, stand_in: StandIn) -> None:
        self._stand_in = stand_in

    def negotiationStarted(self, transport: WebSocketTransport) -> None:
        """The upgrade was accepted."""
        self._transport = transport

    def negotiationFinished(self) -> None:
        """The kiosk speaks first."""

    def textMessageReceived(self, message: str) -> None:
        """One request."""
        for said in self._stand_in.heard(message):
            self._transport.sendTextMessage(said)

    def bytesMessageReceived(self, data: bytes | bytearray) -> None:
        """No part of the protocol."""

    def pongReceived(self, payload: bytes) -> None:
        """No pings are sent."""

    def connectionLost(self, reason: Failure) -> None:
        """The kiosk comes back by itself."""
