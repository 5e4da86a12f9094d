"""An in-memory TCP: honest byte streams with dishonest weather.

Within a living connection bytes arrive whole and in order; they may be late, stalled, cut in the
middle of a frame, or the connection may go half-open (neither side hears of it). Loss, repetition
and reordering of *messages* belong to the hosts at the ends, not to TCP.
"""

from collections.abc import Callable
from random import Random
from typing import Any, Protocol

from msgspec import Struct
from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectError, ConnectionDone, ConnectionLost
from twisted.internet.interfaces import ITCPTransport
from twisted.python.failure import Failure
from zope.interface import implementer

from tests.sim.clock import Call, SimClock


class Weather(Struct):
    """Chances per chunk of bytes written, and what they bring. Healed: everything 0."""

    delay_ms: int = 20
    slow: float = 0.0
    slow_ms: int = 60_000
    """A slow chunk stalls its direction by up to this."""
    cut: float = 0.0
    black_hole: float = 0.0
    refuse: float = 0.0
    """Per attempt to connect."""

    def heal(self) -> None:
        self.slow = self.cut = self.black_hole = self.refuse = 0.0


class Owner(Protocol):
    """A process at one end: dead ones act no more, frozen ones act later."""

    alive: bool

    def run(self, function: Callable[..., object], *args: Any) -> None: ...

    def effect(self, name: str) -> bool:
        """Something is about to leave the process; False when it died just before."""
        ...


class Network:
    """All listeners and links of one world."""

    def __init__(self, clock: SimClock, random: Random, trace: Callable[..., None]) -> None:
        self.clock = clock
        self.random = random
        self.trace = trace
        self.weather: dict[int, Weather] = {}
        self.seen: Callable[[Owner, int, bytes], None] = _unseen
        """Called with what a process writes, when it writes it."""
        self._listeners: dict[int, Listener] = {}
        self._links: dict[Link, None] = {}

    def listen(self, owner: Owner, port: int, factory: Any) -> "Listener":
        assert port not in self._listeners, f"port {port} is taken"
        listener = Listener(self, owner, port, factory)
        self._listeners[port] = listener
        return listener

    def unlisten(self, listener: "Listener") -> None:
        if self._listeners.get(listener.port) is listener:
            del self._listeners[listener.port]

    def connect(self, owner: Owner, port: int, factory: Any, timeout_s: float) -> "Connector":
        connector = Connector(self, owner, port, factory, timeout_s)
        connector.start()
        return connector

    def of_port(self, port: int) -> Weather:
        weather = self.weather.get(port)
        if weather is None:
            weather = self.weather[port] = Weather()
        return weather

    def open_link(self, connector: "Connector") -> None:
        listener = self._listeners.get(connector.port)
        refused = self.random.random() < self.of_port(connector.port).refuse
        if refused or listener is None or not listener.owner.alive:
            connector.failed(ConnectError())
            return
        address = IPv4Address("TCP", "127.0.0.1", connector.port)
        server = listener.factory.buildProtocol(address)
        client = connector.factory.buildProtocol(address)
        if client is None or server is None:
            connector.failed(ConnectError())
            return
        link = Link(self, connector.port)
        self._links[link] = None
        link.join(
            End(link, connector.owner, client, connector), End(link, listener.owner, server, None)
        )

    def drop_owner(self, owner: Owner) -> None:
        """The process died. Its kernel closes its sockets, or the machine is gone with it."""
        for link in tuple(self._links):
            for end in link.ends:
                if end.owner is owner:
                    end.died(gone=self.random.random() < 0.25)
        for listener in tuple(self._listeners.values()):
            if listener.owner is owner:
                del self._listeners[listener.port]

    def heal(self) -> None:
        """Fair weather, and half-open links are noticed."""
        for weather in self.weather.values():
            weather.heal()
        for link in tuple(self._links):
            if link.black:
                link.reset()

    def forget(self, link: "Link") -> None:
        self._links.pop(link, None)


def _unseen(_owner: Owner, _port: int, _data: bytes) -> None:
    """Nobody looks."""


class Listener:
    """IListeningPort, as far as it is used."""

    def __init__(self, network: Network, owner: Owner, port: int, factory: Any) -> None:
        self.network = network
        self.owner = owner
        self.port = port
        self.factory = factory

    def getHost(self) -> IPv4Address:
        return IPv4Address("TCP", "127.0.0.1", self.port)

    def stopListening(self) -> None:
        self.network.unlisten(self)


class Connector:
    """IConnector, as far as it is used."""

    def __init__(
        self, network: Network, owner: Owner, port: int, factory: Any, timeout_s: float
    ) -> None:
        self.network = network
        self.owner = owner
        self.port = port
        self.factory = factory
        self.timeout_s = timeout_s
        self.end: End | None = None
        self._pending: Call | None = None

    def start(self) -> None:
        self.factory.doStart()
        self.factory.startedConnecting(self)
        delay = self.network.random.uniform(0.0005, 0.01)
        self._pending = self.network.clock.callLater(delay, self.owner.run, self._open)

    def _open(self) -> None:
        self._pending = None
        self.network.open_link(self)

    def failed(self, error: Exception) -> None:
        self.factory.clientConnectionFailed(self, Failure(error))

    def stopConnecting(self) -> None:
        if self._pending is not None:
            self._pending.cancel()
            self._pending = None
            self.failed(ConnectError())

    def disconnect(self) -> None:
        if self.end is not None:
            self.end.loseConnection()
        else:
            self.stopConnecting()

    def getDestination(self) -> IPv4Address:
        return IPv4Address("TCP", "127.0.0.1", self.port)


@implementer(ITCPTransport)
class End:
    """One end of a link: the transport of its protocol."""

    disconnecting = False
    connected = True

    def __init__(self, link: "Link", owner: Owner, protocol: Any, connector: Any) -> None:
        self.link = link
        self.owner = owner
        self.protocol = protocol
        self.connector = connector
        self.peer: End
        self.free_at = 0.0
        """When the direction towards the peer is free again (bytes keep their order)."""

    # ---- what protocols use ---------------------------------------------------------------------

    def write(self, data: bytes) -> None:
        self.send(bytes(data), None)

    def send(self, data: bytes, arrived: Callable[[], object] | None) -> None:
        """As write; ``arrived`` is called when the process at the other end has read it."""
        if not data or not self.connected or self.disconnecting or not self.owner.alive:
            return
        if self.owner.effect("write"):
            self.link.network.seen(self.owner, self.link.port, data)
            self.link.carry(self, data, arrived)

    def writeSequence(self, chunks: list[bytes]) -> None:
        self.write(b"".join(chunks))

    def loseConnection(self, _reason: object = None) -> None:
        if not self.connected or self.disconnecting or not self.owner.alive:
            return
        self.disconnecting = True
        self.link.close(self)

    def abortConnection(self) -> None:
        if self.connected and self.owner.alive:
            self.disconnecting = True
            self.link.close(self, abort=True)

    def getPeer(self) -> IPv4Address:
        return IPv4Address("TCP", "127.0.0.1", self.link.port)

    getHost = getPeer

    def setTcpNoDelay(self, _enabled: bool) -> None:
        pass

    def setTcpKeepAlive(self, _enabled: bool) -> None:
        pass

    def getTcpNoDelay(self) -> bool:
        return True

    def getTcpKeepAlive(self) -> bool:
        return True

    def loseWriteConnection(self) -> None:
        self.loseConnection()

    def registerProducer(self, _producer: object, _streaming: bool) -> None:
        pass

    def unregisterProducer(self) -> None:
        pass

    def pauseProducing(self) -> None:
        pass

    def resumeProducing(self) -> None:
        pass

    def stopProducing(self) -> None:
        self.loseConnection()

    # ---- what the link does ---------------------------------------------------------------------

    def received(self, data: bytes, arrived: Callable[[], object] | None = None) -> None:
        if self.connected and not self.disconnecting:
            if arrived is not None:
                arrived()
            self.protocol.dataReceived(data)

    def lost(self, error: type[Exception]) -> None:
        if not self.connected:
            return
        self.connected = False
        reason = Failure(error())
        self.protocol.connectionLost(reason)
        if self.connector is not None:
            self.connector.factory.clientConnectionLost(self.connector, reason)
            self.connector.factory.doStop()

    def died(self, gone: bool) -> None:
        """Our process is dead: the peer hears of it after what is on its way, or never."""
        self.connected = False
        if gone:
            self.link.black = True
        else:
            self.link.close(self)


class Link:
    """A TCP connection: two ends and the weather between them."""

    def __init__(self, network: Network, port: int) -> None:
        self.network = network
        self.port = port
        self.black = False
        self.broken = False
        self.ends: tuple[End, End]

    def join(self, client: End, server: End) -> None:
        client.peer, server.peer = server, client
        self.ends = (client, server)
        client.connector.end = client
        server.protocol.makeConnection(server)
        client.owner.run(client.protocol.makeConnection, client)

    def carry(self, end: End, data: bytes, arrived: Callable[[], object] | None) -> None:
        """Bring ``data`` to the other end, as the weather allows."""
        network = self.network
        weather = network.of_port(self.port)
        random = network.random.random
        if self.black or self.broken:
            return
        delay = random() * weather.delay_ms / 1000
        draw = random()
        if draw < weather.cut:
            self.cut(end, data)
            return
        draw -= weather.cut
        if draw < weather.black_hole:
            self.black = True
            network.trace("net", "black hole", self.port)
            return
        draw -= weather.black_hole
        if draw < weather.slow:
            delay += random() * weather.slow_ms / 1000
            network.trace("net", "slow", self.port, round(delay, 3))
        self._later(end, delay, end.peer.received, data, arrived)

    def cut(self, end: End, data: bytes) -> None:
        """The connection breaks inside this chunk: a part of it still arrives."""
        part = self.network.random.randrange(len(data))
        self.network.trace("net", "cut", self.port, part, len(data))
        if part:
            self._later(end, 0.0, end.peer.received, data[:part])
        self.broken = True
        clock = self.network.clock
        clock.callLater(max(0.0, end.free_at - clock.rightNow) + 0.001, self.reset)

    def close(self, end: End, abort: bool = False) -> None:
        """One side closes: it hears so at once, the other after what is on its way."""
        clock = self.network.clock
        clock.callLater(0, end.owner.run, end.lost, ConnectionLost if abort else ConnectionDone)
        if not self.black:
            self._later(end, 0.001, end.peer.lost, ConnectionDone)
        self.network.forget(self)

    def reset(self) -> None:
        """Broken: both ends hear of it now; what was on its way is gone."""
        self.network.forget(self)
        for end in self.ends:
            end.owner.run(end.lost, ConnectionLost)

    def _later(self, end: End, delay: float, function: Callable[..., object], *args: Any) -> None:
        clock = self.network.clock
        at = max(clock.rightNow + delay, end.free_at)
        end.free_at = at
        clock.callLater(at - clock.rightNow, self._arrive, end.peer, function, args)

    def _arrive(self, end: End, function: Callable[..., object], args: tuple) -> None:
        if not self.black:
            end.owner.run(function, *args)
