"""A reactor whose time passes when it is told to, and whose connections are in memory."""

from collections.abc import Callable
from typing import Any, Final

from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import ITransport
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from zope.interface import implementer

FIRST_PORT: Final = 50_000
BUFFER_BYTES_MAX: Final = 4 * 1024 * 1024
"""Bytes under way on one connection; more is a reader that nobody drives, a defect of the bench."""


class FastReactor(Clock):
    """What the agent asks of a reactor, and no more."""

    def __init__(self) -> None:
        super().__init__()
        self._listening: dict[int, Any] = {}
        self._triggers: list[Callable[[], object]] = []
        self.stopped = False

    def listenTCP(
        self, port: int, factory: Any, backlog: int = 50, interface: str = ""
    ) -> "Listening":
        """As IReactorTCP; whoever knows the port reaches it by :meth:`join`."""
        number = port or FIRST_PORT + len(self._listening)
        self._listening[number] = factory
        factory.doStart()
        return Listening(number, factory)

    def join(self, port: int, protocol: Any) -> None:
        """Connect ``protocol`` to whoever listens there."""
        address = IPv4Address("TCP", "127.0.0.1", port)
        other = self._listening[port].buildProtocol(address)
        here, there = Pipe(self, protocol, address), Pipe(self, other, address)
        here.peer, there.peer = there, here
        other.makeConnection(there)
        protocol.makeConnection(here)

    def addSystemEventTrigger(self, _phase: str, _event: str, act: Callable[[], object]) -> None:
        """Called by :meth:`stop`, as before a shutdown."""
        self._triggers.append(act)

    def stop(self) -> None:
        """The process would end."""
        self.stopped = True
        for act in self._triggers:
            act()

    def next_turn(self) -> None:
        """Jump to the next moment at which something happens, and let it happen."""
        if self.calls:
            self.advance(max(0.0, self.calls[0].getTime() - self.seconds()))


class Listening:
    """A port."""

    def __init__(self, number: int, factory: Any) -> None:
        self._number = number
        self._factory = factory

    def getHost(self) -> IPv4Address:
        """Its address."""
        return IPv4Address("TCP", "127.0.0.1", self._number)

    def stopListening(self) -> None:
        """Nobody new."""
        self._factory.doStop()


@implementer(ITransport)
class Pipe:
    """One end of a connection. What is written arrives in the next turn."""

    peer: "Pipe"
    disconnecting = False

    def __init__(self, reactor: Any, protocol: Any, address: IPv4Address) -> None:
        self._reactor = reactor
        self._protocol = protocol
        self._address = address
        self._waiting = bytearray()
        self._turn: Any = None
        self._ended = False

    def write(self, data: bytes) -> None:
        """Towards the peer."""
        if self._ended:
            return
        self._waiting += data
        assert len(self._waiting) <= BUFFER_BYTES_MAX, "nobody reads"
        if self._turn is None:
            self._turn = self._reactor.callLater(0, self._arrive)

    def writeSequence(self, data: Any) -> None:
        """Several at once."""
        self.write(b"".join(data))

    def loseConnection(self) -> None:
        """What is written still arrives."""
        self.disconnecting = True
        if self._turn is None and not self._ended:
            self.abortConnection()

    def abortConnection(self) -> None:
        """At once, at both ends."""
        for end in (self, self.peer):
            end._end()

    def getPeer(self) -> IPv4Address:
        """Both ends are this machine."""
        return self._address

    def getHost(self) -> IPv4Address:
        """As :meth:`getPeer`."""
        return self._address

    def registerProducer(self, producer: object, streaming: bool) -> None:
        """A pipe is never full."""

    def unregisterProducer(self) -> None:
        """As :meth:`registerProducer`."""

    def _arrive(self) -> None:
        self._turn = None
        data, self._waiting = bytes(self._waiting), bytearray()
        self.peer._protocol.dataReceived(data)
        if self.disconnecting and not self._waiting:
            self.abortConnection()

    def _end(self) -> None:
        if self._ended:
            return
        self._ended = True
        if self._turn is not None:
            self._turn.cancel()
            self._turn = None
        self._reactor.callLater(0, self._protocol.connectionLost, Failure(ConnectionDone()))
