"""The simulated HIS on a transport: a lean HTTP server whose answers wait for the group commit.

Works on any reactor and any clock, so the seeded simulator runs it in memory.
"""

from typing import Any
from typing import Protocol as Shape

from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure

from his_bridge.http_reader import HttpError, HttpReader, Message
from his_bridge.simulator_wire import BODY_LIMIT_BYTES, HisWire, Wire

HEAD_LIMIT_BYTES = 16_384
CONNECTIONS_MAX = 1_024


class Later(Shape):
    """What is used of a reactor or Clock."""

    def callLater(self, delay: float, callable: Any, *args: Any) -> Any: ...  # noqa: A002


class HisServerFactory(Factory):
    """Collects the answers of one turn, commits once, then sends them all."""

    noisy = False

    def __init__(self, wire: HisWire, later: Later) -> None:
        self.wire = wire
        self.later = later
        self.connections = 0
        self._batch: list[tuple[HisServer, Wire]] = []

    def buildProtocol(self, addr: Any) -> "HisServer | None":
        """None (refused) above CONNECTIONS_MAX."""
        return HisServer(self) if self.connections < CONNECTIONS_MAX else None

    def answer(self, server: "HisServer", wire: Wire) -> None:
        """Send when what it says is durable."""
        if not self._batch:
            self.later.callLater(0, self._flush)
        self._batch.append((server, wire))

    def _flush(self) -> None:
        batch, self._batch = self._batch, []
        self.wire.host.ledger.commit()
        for server, wire in batch:
            if wire.data is None:
                continue
            if wire.delay_ms:
                self.later.callLater(wire.delay_ms / 1000, server.send, wire)
            else:
                server.send(wire)


class HisServer(Protocol):
    """One connection, one request at a time."""

    transport: Any

    def __init__(self, factory: HisServerFactory) -> None:
        self._hub = factory
        self._open = True
        self._busy = False
        self._reader = HttpReader(
            requests=True, head_limit_bytes=HEAD_LIMIT_BYTES, body_limit_bytes=BODY_LIMIT_BYTES
        )

    def connectionMade(self) -> None:
        self._hub.connections += 1
        if hasattr(self.transport, "setTcpNoDelay"):
            self.transport.setTcpNoDelay(True)

    def dataReceived(self, data: bytes) -> None:
        try:
            message = self._reader.feed(data)
        except HttpError:
            self.transport.abortConnection()
            return
        if message is not None:
            self._received(message)

    def _received(self, message: Message) -> None:
        if self._busy or message.method != "POST":
            self.transport.abortConnection()
            return
        self._busy = True
        wire = self._hub.wire.receive(message.body)
        wire.close = wire.close or not message.keep_alive
        if wire.work is None:
            self._hub.answer(self, wire)
        else:
            self._hub.later.callLater(wire.delay_ms / 1000, self._work, wire)

    def _work(self, wire: Wire) -> None:
        """The booking that comes late; the caller may be gone, the booking is made."""
        assert wire.work is not None
        self._hub.answer(self, Wire(data=wire.work(), close=wire.close))

    def send(self, wire: Wire) -> None:
        """Write the answer, if anyone is still there."""
        self._busy = False
        if not self._open:
            return
        self.transport.write(wire.data or b"")
        if wire.close:
            self.transport.loseConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._open = False
        self._hub.connections -= 1
