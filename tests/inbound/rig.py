"""Doors in front of the real engine: bytes on connections in memory, on a Clock."""

from types import SimpleNamespace

import msgspec
from twisted.internet.defer import Deferred
from twisted.internet.protocol import ClientFactory, Protocol

from channels.inbound import bank_origin, pos
from channels.inbound.pos.businesses import OFFERED
from hsm.testing import wrap_test_key
from switch.engine import Engine, Limits, Route
from switch.model.outcome import Outcome, Reply
from switch.model.payment import GiveUp, LegKind, LegPolicy, OnUnknown, Rung, RungKind
from switch.store.memory import MemoryDatabase, MemoryJournal
from tests.bank.rig import KeyService, Net, Rig
from tests.engine.rig import Faults, Scripted
from tests.inbound.pos_bytes import Pos

MERCHANT, TERMINAL = "103290083980777", "POS00001"
POS_TMK = "8989898989898989ABABABABABABABAB"
DOOR = {
    "dialect": "cup-pos",
    "listen": {
        "host": "127.0.0.1", "port": 7001, "accept_limit": 4, "peer_limit": 3,
        "allow": ["127.0.0.0/8"],
    },
    "connect_timeout_ms": 5_000,
    "frame_limit_bytes": 2_048,
    "frame_timeout_ms": 5_000,
    "idle_timeout_ms": 600_000,
    "peer_in_flight_limit": 3,
    "pin_key_type": "002",
    "wrong_macs_per_minute": 3,
    "terminal_timeout_ms": 70_000,
    "batch_payments_limit": 1_000,
}  # fmt: skip
STATION = {
    "merchant": MERCHANT, "terminal": TERMINAL, "hospital": "h1",
    "tmk": wrap_test_key("000", POS_TMK),
}  # fmt: skip
POS_TERMINAL = {**STATION, "operations": sorted(OFFERED)}
POS_DOOR = {**DOOR, "key_max_age_ms": 86_400_000, "terminals": [POS_TERMINAL]}
ORIGIN_DOOR = {**DOOR, "terminals": [STATION]}
REVERSAL = LegPolicy(
    timeout_ms=30_000,
    on_unknown=OnUnknown.UNDO,
    ladder=(Rung(RungKind.REVERSAL),),
    resend_waits_ms=(1_000,),
)
REFUND = LegPolicy(timeout_ms=30_000, on_unknown=OnUnknown.STOP)
BOOK = LegPolicy(
    timeout_ms=5_000,
    on_unknown=OnUnknown.RESEND,
    give_up=GiveUp.UNDO,
    ladder=(Rung(RungKind.CANCEL),),
    resend_waits_ms=(1_000,),
)
LIMITS = Limits(
    payments_in_flight=100,
    answer_wait_ms=60_000,
    payment_deadline_ms=20_000,
    recovery_every_ms=5_000,
    recovery_batch=100,
)
BUSINESSES = ("pos_sale", "pos_preauth", "pos_completion")
APPROVED = Reply(
    outcome=Outcome.DONE, code="00", facts={"F15": "0704", "F37": "012345678901", "F38": "A1B2C3"}
)
HANG = Scripted.HANG


class ScriptedBank(Scripted):
    """A bank that says what it is told; refunds cannot be undone, all else can."""

    def policy(self, kind, clearing, operation=None):
        return REFUND if operation in {"refund", "qr_refund"} else REVERSAL


class Line(Protocol):
    """The connection of a peer."""

    def __init__(self):
        self.got, self.lost = None, False

    def write(self, data):
        self.transport.write(data)

    def dataReceived(self, data):
        self.got(data)

    def connectionLost(self, reason=None):
        self.lost = True


class Town:
    """A switch with one door, a scripted bank and hospital, and terminals that dial it."""

    def __init__(
        self, settings=None, plugin=pos.plugin, name="pos", bank=None, town=None, book=BOOK
    ):
        self.bank_rig = bank
        if town is not None:
            self._share(town)
        elif bank is not None:
            self.clock, self.timeline, self.net = bank.clock, bank.timeline, bank.net
            self.random, self.key_service = bank.random, bank.key_service
            self.database = MemoryDatabase()
        else:
            rig = Rig(start=False)
            self.clock, self.timeline, self.random = rig.clock, rig.timeline, rig.random
            self.net, self.key_service = Net(self.clock), KeyService(self.random)
            self.database = MemoryDatabase()
        self.faults = Faults(self.clock)
        self._policies = {LegKind.DEBIT: REVERSAL, LegKind.CREDIT: REFUND, LegKind.BOOK: book}
        self.bank = ScriptedBank("icbc", self.timeline, self._policies)
        self.his = Scripted("his", self.timeline, self._policies)
        self.settings = msgspec.convert(settings or POS_DOOR, plugin.config_schema, strict=False)
        self.plugin = plugin
        self._start(plugin, name)

    def _share(self, town):
        self.clock, self.timeline, self.net = town.clock, town.timeline, town.net
        self.random, self.key_service = town.random, town.key_service
        self.database = town.database

    def _start(self, plugin, name):
        self.journal = MemoryJournal(self.database, self.timeline, "node", 30_000, self.faults)
        channel = self.bank_rig.channel if self.bank_rig else self.bank
        self.engine = Engine(
            journal=self.journal,
            timeline=self.timeline,
            services={"icbc": channel, "his": self.his},
            hospitals={"h1": "his"},
            routes=[
                Route(hospital="h1", business=business, medium=medium, channel="icbc")
                for business in BUSINESSES
                for medium in ("bank_card", "qr_code")
            ],
            limits=LIMITS,
        )
        context = SimpleNamespace(
            timeline=self.timeline,
            reactor=self.net,
            key_service=self.key_service,
            numbers=self.journal.numbers,
            keys=self.journal.keys,
            late=SimpleNamespace(late=self.engine.late),
            random=self.random.random,
        )
        self.front = plugin.build(name, self.settings, self.engine, context)
        self.front.start()

    # ---- terminals -------------------------------------------------------------------------------

    def connect(self, terminal=TERMINAL, merchant=MERCHANT, tmk=POS_TMK, wrap=lambda one: one):
        """A POS on a connection of its own."""
        line = Line()
        terminal_pos = Pos(merchant, terminal, tmk, line.write)
        line.got = terminal_pos.data
        factory = ClientFactory.forProtocol(lambda: line)
        factory.noisy = False
        factory.clientConnectionFailed = lambda *_: line.connectionLost()
        self.net.connectTCP("switch", 7001, wrap(factory))
        self.settle()
        terminal_pos.line = line
        return terminal_pos

    def signed_on(self, **who):
        """A POS that is connected and has its keys."""
        terminal_pos = self.connect(**who)
        terminal_pos.sign_on()
        self.settle()
        terminal_pos.take_keys()
        terminal_pos.answers.clear()
        return terminal_pos

    # ---- time ------------------------------------------------------------------------------------

    def settle(self):
        """Let everything happen that needs no time."""
        for _ in range(80):
            self.clock.advance(0)

    def pass_s(self, seconds):
        """Let time pass, with the heartbeats of the lease."""
        for _ in range(round(seconds * 10)):
            self.clock.advance(0.1)
            self.journal.renew()
        self.settle()

    def engine_says(self, *, stands):
        """Evidence for the only payment there is: whether its leg took effect."""
        (payment,) = self.payments()
        Deferred.fromCoroutine(self.engine.evidence(payment.key, 0, stands=stands))
        self.settle()

    def payments(self):
        """What the journal has, but tombstones."""
        return [payment for payment in self.database.payments() if payment.legs]


def origin_town(book=BOOK, **changes):
    """A town whose door is for a bank that begins payments itself."""
    return Town({**ORIGIN_DOOR, **changes}, bank_origin.plugin, "cqbank", book=book)
