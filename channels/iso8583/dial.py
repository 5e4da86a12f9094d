"""Getting links: we dial the bank, or the bank dials us. The links are the same.

Dialling never gives up: jittered back-off up to a ceiling. Listening never stops either: a
connection above the limit is closed politely and the socket stays open.
"""

from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IAddress, IConnector
from twisted.internet.protocol import ClientFactory, ServerFactory
from twisted.python.failure import Failure

from channels.iso8583.config import ClientLink, Config, ServerLink
from channels.iso8583.link import Link
from switch.model.outcome import Millis
from switch.net.backoff import Backoff
from switch.observe import metrics
from switch.observe.logs import get_logger
from switch.ports import Cancellable, Timeline

_log = get_logger("iso8583.dial")

NewLink = Callable[[str], Link]


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
        self._backoff.reset()
        return self._new_link(self._name)

    def clientConnectionFailed(self, connector: IConnector, reason: Failure) -> None:
        self._again(reason)

    def clientConnectionLost(self, connector: IConnector, reason: Failure) -> None:
        self._again(reason)

    def _dial(self) -> None:
        self._retry = None
        self._connector = self._reactor.connectTCP(
            self._where.host,
            self._where.port,
            self,
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
    """Takes the links that the bank opens."""

    noisy = False

    def __init__(self, name: str, where: ServerLink, reactor: Any, new_link: NewLink) -> None:
        self._name = name
        self._where = where
        self._reactor = reactor
        self._new_link = new_link
        self._links: list[Link] = []
        self._port: Any = None

    def start(self) -> None:
        """Listen. Raises Twisted's CannotListenError when the port is taken."""
        self._port = self._reactor.listenTCP(self._where.port, self, interface=self._where.host)

    def stop(self) -> None:
        """Close the door and every link that came through it."""
        if self._port is not None:
            self._port.stopListening()
        for link in self._links:
            link.drop("stopped")

    def buildProtocol(self, addr: IAddress | None) -> Link | None:
        self._links = [link for link in self._links if link.up]
        if len(self._links) >= self._where.accept_limit:
            # Twisted closes the connection that gets no protocol; the port stays open (I11).
            _log.warning("link_refused", link=self._name, limit=self._where.accept_limit)
            return None
        taken = {link.name for link in self._links}
        names = (f"{self._name}.{number}" for number in range(1, self._where.accept_limit + 1))
        link = self._new_link(next(name for name in names if name not in taken))
        self._links.append(link)
        return link
