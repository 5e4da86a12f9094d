"""A bank channel and a bank simulator in memory: real bytes, virtual time, no sockets."""

import time
from random import Random
from types import SimpleNamespace

import msgspec
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectError, ConnectionDone
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from channels.bank_simulator.habits import Habit, Name, On
from channels.bank_simulator.habits import Order as HabitOrder
from channels.bank_simulator.host import BankHost
from channels.bank_simulator.ledger import Ledger
from channels.bank_simulator.service import BankDialer, BankListener, BankService
from channels.bank_simulator.world import Card, IssuerKeys, TerminalKey, World
from channels.iso8583 import plugin
from channels.iso8583.config import Config
from channels.iso8583.load import load_dialect
from hsm import primitives
from hsm.testing import LocalKeyService, local_processor, wrap_test_key
from switch.model.outcome import Verb
from switch.model.payment import Leg, LegKind, Payment, RungKind
from switch.model.secret import Secret
from switch.ports import CardSecrets, KeyServiceError, Order
from terminal_agent.devices.virtual_card import PRESETS, TEST_KEYS
from tests.bank.cluster import Database, Node

DIALECT = load_dialect("cup-pos")
MERCHANT = "103290083980001"
NOON = 1_783_166_400
"""2026-07-04 12:00 UTC: 4 July in most of the world."""
TMK = "CA5D92598DCA48CE8A4C76361A9269E9"
TPK = "0123456789ABCDEFFEDCBA9876543210"
PAN = "6225881234567890"
TRACK2 = "6225881234567890=49121010000012300000"
PIN = "135790"
CHIP_PAN = PRESETS["debit"].pan

WORLD = World(
    terminals=tuple(
        TerminalKey(merchant=MERCHANT, terminal=f"1000000{n}", tmk=TMK) for n in range(1, 4)
    ),
    cards=(
        Card(name="rich", pan=PAN, pin=PIN, balance_fen=1_000_000),
        Card(name="poor", pan="6225881234560000", pin=PIN, balance_fen=10),
        Card(name="chip", pan=CHIP_PAN, pin=PIN, balance_fen=1_000_000, chip=True),
    ),
    issuer=IssuerKeys(cryptogram_key=TEST_KEYS.cryptogram.hex(), script_key=TEST_KEYS.script.hex()),
)

SETTINGS = {
    "dialect": "cup-pos",
    "links": [{"mode": "client", "host": "bank", "port": 8583}],
    "terminals": [
        {
            "merchant": MERCHANT,
            "terminal": f"1000000{n}",
            "clearing": "outpatient",
            "tmk": wrap_test_key("000", TMK),
            "in_flight": 1,
        }
        for n in range(1, 3)
    ],
    "pin_required": True,
    "cutover": "23:00",
    "connect_timeout_ms": 5_000,
    "reconnect_first_ms": 500,
    "reconnect_ceiling_ms": 30_000,
    "response_timeout_ms": 60_000,
    "echo_idle_ms": 120_000,
    "echo_timeout_ms": 10_000,
    "sign_on_retry_ms": 5_000,
    "frame_limit_bytes": 2_048,
    "frame_timeout_ms": 5_000,
    "in_flight_limit": 64,
    "queue_limit": 2,
    "queue_wait_ms": 3_000,
    "terminal_share_ms": 500,
    "stan_block": 4,
    "expired_limit": 100,
    "max_wrong_macs": 3,
    "key_max_age_ms": 86_400_000,
    "clock_skew_alarm_ms": 300_000,
    "not_found_waits_ms": [60_000, 600_000],
    "reversal_waits_ms": [1_000, 5_000],
}


class Timeline:
    """The house's time line over Twisted's Clock."""

    def __init__(self, clock):
        self.clock = clock
        self.fixed = None

    def now_ms(self):
        return int(self.clock.seconds() * 1000)

    def call_at(self, at, what):
        call = self.clock.callLater(max(0, at - self.now_ms()) / 1000, what)
        return SimpleNamespace(cancel=lambda: call.cancel() if call.active() else None)

    def wall_clock(self):
        if self.fixed:
            return self.fixed
        now = time.localtime(self.clock.seconds())
        return time.strftime("%Y%m%d", now), time.strftime("%H%M%S", now)


class End:
    """One end of a connection in memory."""

    def __init__(self, net):
        self.net, self.peer, self.protocol, self.open = net, None, None, True
        self.lost = lambda: None
        self.written = b""
        self.deaf = False
        self.disconnecting = False

    def write(self, data):
        if self.open:
            self.written += data
            if not self.net.black_hole:
                self.net.clock.callLater(0, self.peer.take, data)

    def take(self, data):
        if self.open and not self.deaf:
            self.protocol.dataReceived(data)

    def loseConnection(self):
        self.net.clock.callLater(0, self.close)

    abortConnection = loseConnection

    def registerProducer(self, producer, streaming):
        """Memory takes everything at once: nobody is ever paused."""

    def close(self):
        if self.open:
            self.open = False
            self.protocol.connectionLost(Failure(ConnectionDone()))
            self.lost()
            self.net.clock.callLater(0, self.peer.close)


class Net:
    """connectTCP and listenTCP in memory; ``black_hole`` swallows bytes, ``refuse`` connects."""

    def __init__(self, clock):
        self.clock = clock
        self.callLater = clock.callLater
        self.listeners = {}
        self.dials = []
        self.ends = []
        self.refuse = self.black_hole = False
        self.caller = "127.0.0.1"

    @property
    def address(self):
        """Whoever dials now comes from here."""
        return IPv4Address("TCP", self.caller, 50_000)

    def listenTCP(self, port, factory, interface=""):
        self.listeners[port] = factory
        where = IPv4Address("TCP", "127.0.0.1", port)
        return SimpleNamespace(
            stopListening=lambda: self.listeners.pop(port, None), getHost=lambda: where
        )

    def connectTCP(self, host, port, factory, timeout=30):
        self.dials.append(self.clock.seconds())
        connector = SimpleNamespace(disconnect=lambda: None)
        connector.connect = lambda: self.clock.callLater(0, self._open, port, factory, connector)
        connector.connect()
        return connector

    def _open(self, port, factory, connector):
        server = None if self.refuse else self.listeners.get(port)
        there = server and server.buildProtocol(self.address)
        if not there:
            factory.clientConnectionFailed(connector, Failure(ConnectError()))
            return
        self.join(factory.buildProtocol(None), there, factory, connector)

    def join(self, here, there, factory=None, connector=None):
        client, server = End(self), End(self)
        client.peer, server.peer = server, client
        client.protocol, server.protocol = here, there
        if factory is not None:
            client.lost = lambda: factory.clientConnectionLost(connector, Failure(ConnectionDone()))
            connector.disconnect = client.loseConnection
        self.ends.append((client, server))
        there.makeConnection(server)
        here.makeConnection(client)


class KeyService(LocalKeyService):
    """The HSM in process; ``down`` names methods that fail."""

    def __init__(self, random):
        super().__init__(local_processor(random.randbytes), random.randbytes)
        self.down = set()
        self.calls = []

    def __getattribute__(self, name):
        value = super().__getattribute__(name)
        if name in _ASKED:
            self.calls.append(name)
            if name in self.down:
                return _fails
        return value


_ASKED = frozenset(
    {"translate_pin", "make_mac", "check_mac", "import_key", "issue_key", "protect", "reveal"}
)


async def _fails(*_args, **_named):
    raise KeyServiceError("XX", "down", "the HSM is away")


class Rig:
    """Channel and bank, connected through memory. ``settle()`` lets everything due happen."""

    def __init__(self, seed=0, start=True, **changes):
        self.random = Random(seed)
        self.clock = Clock()
        self.clock.advance(NOON)
        self.timeline = Timeline(self.clock)
        self.net = Net(self.clock)
        self.key_service = KeyService(self.random)
        self.late_replies = []
        self.database = Database(self.timeline)
        self.key_rows = self.database.keys
        self.dialect = load_dialect(str(changes.get("dialect", "cup-pos")))
        self.host = BankHost(
            dialect=self.dialect,
            world=WORLD,
            ledger=Ledger(),
            random=self.random,
            now_ms=self.timeline.now_ms,
        )
        self.service = BankService(self.host, self.net, self.dialect.length_prefix)
        self.net.listenTCP(8583, BankListener(self.service))
        self.node = Node(self.database)
        self.numbers = self.node.numbers
        self.config = msgspec.convert({**SETTINGS, **changes}, Config, strict=False)
        self.channel = self.build(self.node)
        self.bank = self.channel._bank
        if start:
            self.channel.start()
            self.settle()

    def build(self, node):
        """The channel to this bank of a node."""
        context = SimpleNamespace(
            timeline=self.timeline,
            reactor=self.net,
            key_service=self.key_service,
            numbers=node.numbers,
            keys=node.keys,
            terminals=node.terminals,
            bank_days=node.bank_days,
            late=SimpleNamespace(late=lambda *what: self.late_replies.append(what)),
            random=self.random.random,
        )
        return plugin.build("icbc", self.config, context)

    def peer(self, name="b"):
        """Another node with its own link, on the same database; started."""
        return Peer(self, Node(self.database, name))

    def settle(self, seconds=0.01, steps=10):
        """Run what is due, then a little more."""
        for _ in range(steps):
            self.clock.advance(seconds / steps)

    def run(self, coroutine, seconds=0.01):
        """The result of a coroutine that ends within ``seconds``; fails when it does not."""
        results = []
        Deferred.fromCoroutine(coroutine).addBoth(results.append)
        self.settle(seconds)
        assert results, "not finished"
        if isinstance(results[0], Failure):
            results[0].raiseException()
        return results[0]

    def begin(self, coroutine):
        """Start a coroutine; the returned list gets its result."""
        results = []
        Deferred.fromCoroutine(coroutine).addBoth(results.append)
        return results

    def dialled(self, times=1):
        """The bank dials the switch's own port."""
        for _ in range(times):
            dialer = BankDialer(self.service)
            dialer.clock = self.clock
            self.net.connectTCP("switch", 9000, dialer)
        self.settle()

    def habit(self, name, on="sale", **more):
        """Script a bad habit of the bank for the next message."""
        self.host.habits.set(HabitOrder(next=(Habit(habit=Name(name), on=On(on), **more),)))

    @property
    def terminals(self):
        return list(self.bank.terminals.values())


class Peer:
    """A second node beside the rig's own: what the helpers below need of a rig."""

    def __init__(self, rig, node):
        self.node, self.run, self.begin, self.settle = node, rig.run, rig.begin, rig.settle
        self.timeline = rig.timeline
        self.channel = rig.build(node)
        self.bank = self.channel._bank
        self.channel.start()
        rig.settle()

    @property
    def terminals(self):
        return list(self.bank.terminals.values())


def card(pan=PAN, pin=PIN, with_pin=True):
    """A card as the kiosk reads it; the PIN block under the pad's key."""
    block = primitives.pin_block_0(pin, primitives.account12(pan))
    cryptogram = primitives.ecb_encrypt(primitives.odd_parity(bytes.fromhex(TPK)), block)
    return CardSecrets(
        pan=Secret(pan),
        track2=Secret(TRACK2.replace(PAN, pan)),
        pin_block=Secret(cryptogram.hex().upper()) if with_pin else None,
        pin_key=wrap_test_key("002", TPK),
        entry_mode="021",
    )


def payment(rig, key="p1", amount_fen=12_345, clearing="outpatient"):
    """A payment of one debit leg."""
    leg = Leg(
        kind=LegKind.DEBIT,
        counterparty="icbc",
        amount_fen=amount_fen,
        policy=rig.channel.policy(LegKind.DEBIT, clearing),
        attempt=1,
        sent_at=rig.timeline.now_ms(),
    )
    return Payment(
        key=key,
        hospital="h1",
        business="outpatient_bill",
        terminal="k1",
        amount_fen=amount_fen,
        request_hash="",
        born_at=0,
        business_date="20260704",
        clearing=clearing,
        legs=(leg,),
    )


def with_facts(paid, facts):
    """The payment as the engine commits it: the leg has learned ``facts``."""
    leg = paid.legs[0]
    leg = msgspec.structs.replace(leg, facts={**leg.facts, **facts})
    return msgspec.structs.replace(paid, legs=(leg,))


def sent_at(paid, at):
    """The payment as if its leg had been sent at that moment."""
    leg = msgspec.structs.replace(paid.legs[0], sent_at=at)
    return msgspec.structs.replace(paid, legs=(leg,))


def do(paid):
    return Order(payment=paid, leg_index=0, verb=Verb.DO)


def undo(paid):
    return Order(payment=paid, leg_index=0, verb=Verb.UNDO, rung=RungKind.REVERSAL)


async def sell(rig, paid, secrets=None):
    """Prepare, commit, exchange: the payment with what was learned, and the reply."""
    secrets = secrets or card()
    prepared = await rig.channel.prepare(do(paid), secrets)
    assert prepared is not None, "not prepared"
    paid = sent_at(with_facts(paid, prepared.facts), rig.timeline.now_ms())
    reply = await rig.channel.exchange(do(paid), secrets)
    return with_facts(paid, reply.facts), reply
