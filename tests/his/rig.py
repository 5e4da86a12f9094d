"""An in-memory network on Twisted's Clock, and hospitals connected through it."""

from collections.abc import Awaitable
from typing import Any

from msgspec.structs import replace
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectError, ConnectionDone, ConnectionLost
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from his_bridge.breaker import BreakerSettings
from his_bridge.config import HospitalConfig
from his_bridge.hospital import Hospital
from his_bridge.policy import Level
from his_bridge.profile import Profile
from his_bridge.profile_file import load_profile
from his_bridge.simulator_habits import Habits
from his_bridge.simulator_host import HisHost
from his_bridge.simulator_ledger import Ledger
from his_bridge.simulator_server import HisServerFactory
from his_bridge.simulator_wire import HisWire
from his_bridge.xml import escape
from switch.model.operation import Operation
from switch.model.outcome import Reply, Verb
from switch.model.payment import Leg, LegKind, Payment
from switch.ports import Order
from switch.timeline import ReactorTimeline

PORT = 9100


class MemoryTransport:
    """One end of a pipe: what is written arrives at the peer a moment later, in pieces."""

    disconnecting = False

    def __init__(self, net: "MemoryNet") -> None:
        self.net = net
        self.peer: MemoryTransport
        self.protocol: Any = None
        self.open = True
        self.written = b""

    def write(self, data: bytes) -> None:
        self.written += data
        size = self.net.piece_bytes or max(1, len(data))
        pieces = [data[start : start + size] for start in range(0, len(data), size)]
        self.net.clock.callLater(0, self.peer._arrived, pieces)

    def _arrived(self, pieces: list[bytes]) -> None:
        for piece in pieces:
            if self.open:
                self.protocol.dataReceived(piece)

    def loseConnection(self) -> None:
        self.net.clock.callLater(0, self._close, ConnectionDone())
        self.net.clock.callLater(0, self.peer._close, ConnectionDone())

    def abortConnection(self) -> None:
        self._close(ConnectionLost())
        self.net.clock.callLater(0, self.peer._close, ConnectionLost())

    def _close(self, reason: Exception) -> None:
        if self.open:
            self.open = False
            self.protocol.connectionLost(Failure(reason))

    def getPeer(self) -> IPv4Address:
        return IPv4Address("TCP", "127.0.0.1", PORT)

    getHost = getPeer


class MemoryNet:
    """A reactor of memory: ``connectTCP`` finds the factory that listens, or is refused."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.listening: dict[int, Factory] = {}
        self.black_hole = False
        self.connects = 0
        self.clients: list[MemoryTransport] = []
        self.piece_bytes = 0
        self.callLater = self.clock.callLater
        self.seconds = self.clock.seconds

    def connectTCP(
        self, host: str, port: int, factory: Any, timeout: float = 30, bindAddress: Any = None
    ) -> Any:
        connector = _Connector(factory)
        factory.startedConnecting(connector)
        self.connects += 1
        if not self.black_hole:
            self.clock.callLater(0, self._connect, port, factory, connector)
        return connector

    def _connect(self, port: int, factory: Any, connector: "_Connector") -> None:
        if connector.stopped:
            return
        server_factory = self.listening.get(port)
        if server_factory is None:
            factory.clientConnectionFailed(connector, Failure(ConnectError()))
            return
        address = IPv4Address("TCP", "127.0.0.1", port)
        near, far = MemoryTransport(self), MemoryTransport(self)
        near.peer, far.peer = far, near
        self.clients.append(near)
        far.protocol = server_factory.buildProtocol(address)
        near.protocol = factory.buildProtocol(address)
        far.protocol.makeConnection(far)
        near.protocol.makeConnection(near)

    def run(self, seconds: float = 0) -> None:
        """Let everything due within ``seconds`` happen, in small steps."""
        until = self.clock.seconds() + seconds
        for _ in range(200_000):
            due = [call.getTime() for call in self.clock.getDelayedCalls()]
            if not due or min(due) > until:
                break
            self.clock.advance(max(0, min(due) - self.clock.seconds()))
        else:
            raise AssertionError("the network never comes to rest")
        self.clock.advance(max(0, until - self.clock.seconds()))

    def result(self, work: Awaitable[Any], seconds: float = 60) -> Any:
        """The end of a coroutine within virtual ``seconds``."""
        ends: list[Any] = []
        Deferred.fromCoroutine(work).addBoth(ends.append)
        step = 0.0
        while not ends and step <= seconds:
            self.run(0.25)
            step += 0.25
        assert ends, f"no end within {seconds} s"
        if isinstance(ends[0], Failure):
            ends[0].raiseException()
        return ends[0]


class _Connector:
    def __init__(self, factory: Any) -> None:
        self.factory = factory
        self.stopped = False

    def stopConnecting(self) -> None:
        self.stopped = True

    disconnect = stopConnecting

    def getDestination(self) -> IPv4Address:
        return IPv4Address("TCP", "127.0.0.1", PORT)


class Canned(Protocol):
    """A server that answers each request's bytes with what the test put in ``answers``."""

    def __init__(self, answers: list[bytes | None], seen: list[bytes]) -> None:
        self.answers = answers
        self.seen = seen

    def dataReceived(self, data: bytes) -> None:
        self.seen.append(data)
        if not self.answers:
            return
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if answer is None:
            self.transport.abortConnection()
        else:
            self.transport.write(answer)


class World:
    """A hospital's client, and what stands at the other end."""

    def __init__(self, net: MemoryNet) -> None:
        self.net = net
        self.timeline = ReactorTimeline(net, net.clock.seconds, lambda: 1_700_000_000)
        self.reactor = net
        self.seen: list[bytes] = []

    def config(self, **changes: Any) -> HospitalConfig:
        values: dict[str, Any] = {
            "profile": "demo-h1",
            "url": f"http://127.0.0.1:{PORT}/his",
            "level": Level.L3,
            "site": {"operator": "ZZ01"},
            "connections": 4,
            "inquiries_limit": 2,
            "connect_timeout_ms": 1_000,
            "idle_ms": 30_000,
            "queue_limit": 8,
            "queue_wait_ms": 2_000,
            "breaker": BreakerSettings(failures=3, open_ms=5_000),
        }
        return HospitalConfig(**(values | changes))

    def hospital(self, profile: Profile | None = None, **changes: Any) -> Hospital:
        return Hospital("h1", profile or load_profile("demo-h1"), self.config(**changes), self)

    def simulator(self, level: Level = Level.L3) -> HisWire:
        """Start the real simulator in memory."""
        ledger = Ledger(":memory:")
        wire = HisWire(HisHost(ledger, self.timeline.now_ms, level), Habits())
        self.net.listening[PORT] = HisServerFactory(wire, self.net)
        return wire

    def answers(self, *answers: bytes | None) -> None:
        """Start a server of canned answers; the last repeats, None drops the connection."""
        left = list(answers)
        self.net.listening[PORT] = Factory.forProtocol(lambda: Canned(left, self.seen))

    def exchange(self, hospital: Hospital, order: Order, seconds: float = 60) -> Reply:
        reply: Reply = self.net.result(hospital.exchange(order, None), seconds)
        return reply


def order_for(
    hospital: Hospital,
    kind: LegKind,
    verb: Verb = Verb.DO,
    *,
    key: str = "K1",
    bill: str = "BP1-1",
    patient: str = "P1",
    amount_fen: int = 1_230,
    facts: dict[str, str] | None = None,
    held: bool = True,
    operation: Operation | None = None,
) -> Order:
    """An order of a payment with a hold, a debit and the leg asked for."""
    policy = hospital.policy(kind, "outpatient", operation)

    def leg(what: LegKind, counterparty: str, known: dict[str, str]) -> Leg:
        return Leg(
            kind=what,
            counterparty=counterparty,
            amount_fen=amount_fen,
            policy=policy,
            facts=known,
        )

    hold = leg(LegKind.HOLD, "h1", facts or {})
    bank_facts = {"F2": "vaulted", "F11": "000123", "F37": "123456789012"}
    debit = leg(LegKind.DEBIT, "bank", bank_facts)
    last = replace(leg(kind, "h1", {}), operation=operation)
    legs = (hold,) if kind is LegKind.HOLD else (hold, debit, last) if held else (debit, last)
    payment = Payment(
        key=key,
        hospital="h1",
        business="outpatient_bill",
        terminal="t1",
        amount_fen=amount_fen,
        request_hash="",
        born_at=0,
        business_date="20261121",
        bill=bill,
        patient=patient,
        original="K0" if kind is LegKind.UNBOOK else "",
        legs=legs,
    )
    return Order(payment=payment, leg_index=len(legs) - 1, verb=verb)


def soap_answer(inner: str, returned: str = "0") -> bytes:
    """An HTTP 200 of the demo hospital; ``inner`` is the answer's XML."""
    return http_answer(
        '<?xml version="1.0"?><s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/">'
        '<s:Body><runserviceResponse xmlns="http://tempurl.org">'
        f"<runserviceResult>{returned}</runserviceResult><tradeout>{escape(inner)}</tradeout>"
        "</runserviceResponse></s:Body></s:Envelope>".encode()
    )


def http_answer(body: bytes, status: int = 200) -> bytes:
    head = f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body
