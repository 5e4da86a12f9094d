"""A house that settles: engine, journal, the real channel, and a bank that compares totals."""

from random import Random
from types import SimpleNamespace
from typing import Any

import msgspec
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from channels.bank_simulator.host import BankHost
from channels.bank_simulator.ledger import Ledger
from channels.bank_simulator.service import BankListener, BankService
from channels.iso8583 import plugin
from channels.iso8583.codec import Codec
from channels.iso8583.config import Config
from switch.engine import Engine, Route
from switch.jobs.settlement import Settlement
from switch.model.logical_terminal import LogicalTerminal
from switch.model.payment import LegKind
from switch.net.frames import framed
from switch.ports import JournalDown
from switch.store.memory import MemoryDatabase, MemoryJournal
from tests.bank.rig import DIALECT, MERCHANT, NOON, SETTINGS, WORLD, KeyService, Net, Timeline, card
from tests.engine.rig import BOOK, DEBIT, HOLD, LIMITS, Faults, Scripted, request

TERMINAL = LogicalTerminal(bank="icbc", merchant=MERCHANT, terminal="10000001")
TERMS = {"deadline_ms": 600_000, "waits_ms": [10_000, 60_000], "tries": 3}
HIS = {LegKind.DEBIT: DEBIT, LegKind.HOLD: HOLD, LegKind.BOOK: BOOK}


class Host:
    """In front of the simulator: keeps what it is sent. ``says``: what is answered to a 0500 or
    0320 instead (``1``, ``2``, ``3``; a code of field 39; "" = silence), one by one."""

    def __init__(self, host: BankHost) -> None:
        self._host = host
        self._codec = Codec(DIALECT)
        self.says: list[str] = []
        self.settled: list[dict[str, str]] = []
        self.uploaded: list[dict[str, str]] = []
        self.reversals: list[str] = []
        self.sent: list[dict[str, str]] = []
        """Operations and reversals, with their message type as ``mti``."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._host, name)

    def receive(self, frame: bytes) -> Any:
        if not frame:
            return self._host.receive(frame)
        message = self._codec.decode(frame)
        if message.mti in ("0200", "0220", "0400"):
            self.sent.append({"mti": message.mti, **message.fields})
        if message.mti == "0400":
            self.reversals.append(message.fields["11"])
        kept = {"0500": self.settled, "0320": self.uploaded}.get(message.mti)
        if kept is None:
            return self._host.receive(frame)
        kept.append(dict(message.fields))
        if not self.says:
            return self._host.receive(frame)
        said = self.says.pop(0)
        return [(0, self._answer(message, said))] if said else []

    def _answer(self, message: Any, said: str) -> bytes:
        fields = {n: message.fields[n] for n in ("11", "41", "42", "60") if n in message.fields}
        fields["39"] = said if len(said) == 2 else "00"
        if message.mti == "0500":
            digit = said if len(said) == 1 else "0"
            fields["48"] = message.fields["48"][:30] + digit + message.fields["48"][31:]
        return framed(
            self._codec.answer(message, DIALECT.mtis[message.mti].answer, fields),
            DIALECT.length_prefix,
        )


class House:
    """One node; :meth:`restart` puts another process in its place on the same database."""

    def __init__(self, undo: dict[str, Any] | None = None, **settlement: Any) -> None:
        self.clock = Clock()
        self.clock.advance(NOON)
        self.timeline = Timeline(self.clock)
        self.net = Net(self.clock)
        self.database = MemoryDatabase()
        self.faults = Faults(self.clock)
        self.key_service = KeyService(Random(0))
        host = BankHost(
            dialect=DIALECT,
            world=WORLD,
            ledger=Ledger(),
            random=Random(0),
            now_ms=self.timeline.now_ms,
        )
        self.host = Host(host)
        service = BankService(self.host, self.net, DIALECT.length_prefix)
        self.net.listenTCP(8583, BankListener(service))
        terminals = SETTINGS["terminals"][:1]
        terms = {**TERMS, **settlement}
        self.settings = {**SETTINGS, "terminals": terminals, "settlement": terms}
        self.settings |= {"undo": undo} if undo is not None else {}
        self.his = Scripted("his", self.timeline, HIS)
        self.restart()

    def restart(self) -> None:
        """A process starts; whatever ran before has died."""
        if self.database.nodes:
            self.journal.crash()
            self.begin(self.channel.stop())
            self.settlement.stop()
            self.settle(1)
        self.journal = MemoryJournal(self.database, self.timeline, "a", 86_400_000, self.faults)
        context = SimpleNamespace(
            timeline=self.timeline,
            reactor=self.net,
            key_service=self.key_service,
            numbers=self.journal.numbers,
            keys=self.journal.keys,
            terminals=self.journal.terminals,
            batches=self.journal.batches,
            notices=self.journal.notices,
            bank_days=self.journal.bank_days,
            late=SimpleNamespace(late=self.late),
            random=Random(0).random,
        )
        self.channel = plugin.build(
            "icbc", msgspec.convert(self.settings, Config, strict=False), context
        )
        self.engine = Engine(
            journal=self.journal,
            timeline=self.timeline,
            services={"icbc": self.channel, "his": self.his},
            hospitals={"h1": "his"},
            routes=(
                Route(
                    hospital="h1",
                    business="outpatient_bill",
                    medium="bank_card",
                    channel="icbc",
                ),
            ),
            limits=LIMITS,
        )
        settling = self.channel.settling
        banks = {"icbc": settling} if settling is not None else {}
        others = {"icbc": self.channel.holds} if settling is None else {}
        self.settlement = Settlement(
            self.journal.batches, banks, self.engine, self.timeline, others
        )
        self.channel.start()
        self.settle(1)
        self.begin(self.settlement.start())
        self.begin(self.engine.recover())
        self.settle(1)

    def late(self, *what: Any) -> None:
        """An answer after its time, for the engine that is built last."""
        self.engine.late(*what)

    def begin(self, coroutine: Any) -> list[Any]:
        """Start it; the list gets its result."""
        results: list[Any] = []
        Deferred.fromCoroutine(coroutine).addBoth(results.append)
        return results

    def pay(self, key: str = "k1", amount_fen: int = 12_345, wait_s: float = 1) -> list[Any]:
        """A patient pays; what the engine answers."""
        answers = self.begin(self.engine.start(request(key, amount_fen=amount_fen), card()))
        self.settle(wait_s)
        return answers

    def order(self, due: str = "") -> bool:
        """An operator wants the terminal's batch settled."""
        done = self.begin(self.journal.batches.order(TERMINAL, due, self.timeline.now_ms()))
        self.settle()
        assert not isinstance(done[0], JournalDown)
        return bool(done[0])

    def settle(self, seconds: float = 0.2) -> None:
        """Let time pass in tenths of a second."""
        for _ in range(max(1, round(seconds * 10))):
            self.clock.advance(0.1)

    @property
    def rows(self) -> list[Any]:
        """The settlements."""
        return self.database.batches.rows

    @property
    def batch(self) -> str:
        """The terminal's batch in the database."""
        return self.database.counters.batches[TERMINAL]

    def stored(self, key: str = "k1") -> Any:
        return self.database.rows[key].payment()

    def facts(self, key: str = "k1") -> Any:
        """Of its debit."""
        return next(leg for leg in self.stored(key).legs if leg.kind is LegKind.DEBIT).facts
