"""Getting links: we dial the peer, or the peer dials us. The links are the same.

Dialling never gives up: jittered back-off up to a ceiling, from the first wait again only after
the peer has said something. Listening never stops either: whoever may not come, or comes too often,
is closed politely and the socket stays open (I11).
"""

from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IAddress, IConnector
from twisted.internet.protocol import ClientFactory, Protocol, ServerFactory
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure

from channels.iso8583.config import ClientLink, Config, Doorway
from channels.iso8583.link import Link
from switch.model.outcome import Millis
from switch.net.allowed import AllowList
from switch.net.backoff import Backoff
from switch.net.tls import Asking, TlsEnd, TlsFiles, tls_end
from switch.observe import metrics
from switch.observe.logs import get_logger
from switch.ports import Cancellable, Timeline

_log = get_logger("iso8583.dial")

NewLink = Callable[[str, frozenset[str] | None], Link]
"""Name, and under TLS the names of which the peer must have one."""


class Dialer(ClientFactory):
    """Keeps one link to the bank up."""

    noisy = False

    def __init__(
        self,
        *,
        bank: str,
        name: str,
        where: ClientLink,
        config: Config,
        reactor: Any,
        timeline: Timeline,
        random: Callable[[], float],
        new_link: NewLink,
    ) -> None:
        """Raises TlsFilesError."""
        self._bank = bank
        self._name = name
        self._where = where
        self._config = config
        self._reactor = reactor
        self._timeline = timeline
        self._new_link = new_link
        self._backoff = Backoff(config.reconnect_first_ms, config.reconnect_ceiling_ms, random)
        self._retry: Cancellable | None = None
        self._connector: IConnector | None = None
        self._running = False
        self._link: Link | None = None
        self._factory: ClientFactory[Any] = self
        self._expected: frozenset[str] | None = None
        if where.tls is not None:
            tls = where.tls
            end = _tls_end(name, TlsFiles(ca=tls.ca, certificate=tls.certificate, key=tls.key))
            asking = Asking(end.options, tls.peer_name)
            self._expected = frozenset({tls.peer_name.lower()})
            self._factory = TLSMemoryBIOFactory(asking, True, self, reactor)

    def start(self) -> None:
        """Dial, and dial again whenever the link is lost."""
        self._running = True
        self._dial()

    def stop(self) -> None:
        """Hang up and stay away."""
        self._running = False
        if self._retry is not None:
            self._retry.cancel()
        if self._connector is not None:
            self._connector.disconnect()

    def buildProtocol(self, addr: IAddress | None) -> Link:
        self._link = self._new_link(self._name, self._expected)
        return self._link

    def clientConnectionFailed(self, connector: IConnector, reason: Failure) -> None:
        self._again(reason)

    def clientConnectionLost(self, connector: IConnector, reason: Failure) -> None:
        if self._link is not None and self._link.spoke:
            self._backoff.reset()
        self._again(reason)

    def _dial(self) -> None:
        self._retry = None
        self._connector = self._reactor.connectTCP(
            self._where.host,
            self._where.port,
            self._factory,
            timeout=self._config.connect_timeout_ms / 1000,
        )

    def _again(self, reason: Failure) -> None:
        if not self._running:
            return
        wait_ms = self._backoff.next_ms()
        metrics.LINK_RECONNECTS.labels(self._bank, self._name).inc()
        _log.warning(
            "link_redial",
            bank=self._bank,
            link=self._name,
            wait_ms=wait_ms,
            why=reason.type.__name__ if reason.type else "",
        )
        self._retry = self._timeline.call_at(Millis(self._timeline.now_ms() + wait_ms), self._dial)


class Listener(ServerFactory):
    """Takes the links that peers open."""

    noisy = False

    def __init__(self, name: str, where: Doorway, reactor: Any, new_link: NewLink) -> None:
        """Raises TlsFilesError."""
        self._name = name
        self._where = where
        self._reactor = reactor
        self._new_link = new_link
        self._allowed = AllowList(where.allow)
        self._links: list[Link] = []
        self._port: Any = None
        self._tls: TLSMemoryBIOFactory | None = None
        self._expected: frozenset[str] | None = None
        if where.tls is not None:
            tls = where.tls
            end = _tls_end(name, TlsFiles(ca=tls.ca, certificate=tls.certificate, key=tls.key))
            self._expected = frozenset(peer.lower() for peer in tls.peer_names)
            self._tls = TLSMemoryBIOFactory(end.options, False, self, reactor)

    @property
    def port(self) -> int:
        """The port listened on; 0 before the start and after the end."""
        return int(self._port.getHost().port) if self._port is not None else 0

    def start(self) -> None:
        """Listen. Raises Twisted's CannotListenError when the port is taken."""
        self._port = self._reactor.listenTCP(self._where.port, self, interface=self._where.host)

    def stop(self) -> None:
        """Close the door and every link that came through it."""
        if self._port is not None:
            self._port.stopListening()
            self._port = None
        for link in self._links:
            link.drop("stopped")

    def buildProtocol(self, addr: IAddress | None) -> Protocol | None:
        """A link, or None: Twisted closes the connection, and the port stays open."""
        peer = str(getattr(addr, "host", ""))
        self._links = [link for link in self._links if not link.gone]
        reason = self._against(peer)
        if reason:
            metrics.CONNECTIONS_REFUSED.labels(self._name, reason).inc()
            _log.warning("link_refused", link=self._name, peer=peer, reason=reason)
            return None
        taken = {link.name for link in self._links}
        names = (f"{self._name}.{number}" for number in range(1, self._where.accept_limit + 1))
        link = self._new_link(next(name for name in names if name not in taken), self._expected)
        link.entry, link.peer = self._name, peer
        self._links.append(link)
        return link if self._tls is None else self._tls.protocol(self._tls, link)

    def _against(self, peer: str) -> str:
        """Why ``peer`` may not come in now; empty: it may."""
        if not self._allowed.allows(peer):
            return "address"
        if len(self._links) >= self._where.accept_limit:
            return "limit"
        if sum(link.peer == peer for link in self._links) >= self._where.peer_limit:
            return "peer_limit"
        return ""


def _tls_end(name: str, files: TlsFiles) -> TlsEnd:
    end = tls_end(files)
    metrics.LINK_CERTIFICATE_END_SECONDS.labels(name).set(end.ends_at)
    for reason in ("tls", "peer_name"):  # an increase is seen only of a series that was there
        metrics.CONNECTIONS_REFUSED.labels(name, reason)
    return end
