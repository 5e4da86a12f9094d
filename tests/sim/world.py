"""One seeded world: two nodes, one database, one bank, one hospital, terminals, and weather.

``play(seed)`` runs it: a phase in which everything may break, then everything is healed, then a
deadline by which every payment must be final and every terminal told, then (odd seeds) the
settlement file. The same seed gives the same trace to the byte.
"""

from collections import deque
from collections.abc import Callable, Mapping
from functools import cache
from hashlib import blake2b
from random import Random
from typing import Any

from msgspec import Struct
from twisted.internet.defer import Deferred

from switch.model.batch import OPEN
from switch.model.payment import LegKind, LegState, Payment
from switch.ports import JournalDown, LogicalTerminal
from tests.sim import mix as mixes
from tests.sim.acknowledgements import Acknowledgements
from tests.sim.bank_host import BankHost
from tests.sim.checker import DAYS, Auditor
from tests.sim.chips import Chips
from tests.sim.clock import SimClock
from tests.sim.counters import Counters
from tests.sim.counting import counted
from tests.sim.his_host import HisHost
from tests.sim.kiosks import Kiosks
from tests.sim.network import Network, Weather
from tests.sim.node import (
    ANNOUNCED_S,
    BANK,
    BANK_PORT,
    EPOCH_S,
    HIS_PORT,
    DatabaseFaults,
    Node,
    announces_day,
    codec_of,
)
from tests.sim.origins import Origins
from tests.sim.process import Mortal, Process
from tests.sim.reading import Reading
from tests.sim.scripts import all_told
from tests.sim.scripts import findings as scripts_findings
from tests.sim.standing import stands_fen
from tests.sim.violation import Violation
from tests.sim.watched import Watched
from tests.sim.wire import Wire

SAFETY_S = 240.0
QUIET_S = 100.0
"""After healing, what is still on its way has arrived by then."""
LIVENESS_S = 3_600.0
"""A reversal answered 25 is repeated at +1 and +10 minutes: this is several times that."""
RECONCILED_S = 1_800.0
STEP_S = 5.0
TRACE_LINES = 30
NODES = ("node-a", "node-b")


class Result(Struct, kw_only=True):
    """What a world came to."""

    seed: int
    mix: str
    violations: list[Violation]
    hash: str
    trace: list[str]
    counts: dict[str, int]

    def report(self) -> str:
        """For the person who must find it."""
        lines = [f"SEED={self.seed}", f"MIX  {self.mix}"]
        lines += [f"{violation.invariant}: {violation.text}" for violation in self.violations]
        lines += [f"  {line}" for line in self.trace]
        lines.append(f"replay: bin/test tests/sim --sim-seeds 1 --sim-start {self.seed}")
        return "\n".join(lines)


class World:
    """Everything that one seed sets in motion."""

    def __init__(self, seed: int, keep: int, weather: Mapping[str, Any]) -> None:
        self.seed = seed
        random = Random(seed)
        self._randoms = {
            name: Random(random.getrandbits(64))
            for name in ("mix", "net", "bank", "his", "kiosks", "fate", *NODES, "chips")
        }
        self.mix = mixes.draw(seed, self._randoms["mix"])
        for name, strength in weather.items():
            setattr(self.mix, name, strength)
        self.mix_shown = self.mix.shown()
        self.clock = SimClock()
        self.lines: deque[str] = deque(maxlen=keep)
        self._hash = blake2b(digest_size=16)
        self.counts = {"crashes": 0, "freezes": 0}
        self.network = Network(self.clock, self._randoms["net"], self.trace)
        self.network.weather = {
            BANK_PORT: Weather(
                slow=self.mix.bank_slow,
                cut=self.mix.bank_cut,
                black_hole=self.mix.bank_black_hole,
                refuse=self.mix.bank_refuse,
            ),
            HIS_PORT: Weather(
                slow=self.mix.his_slow,
                slow_ms=25_000,
                cut=self.mix.his_cut,
                black_hole=self.mix.his_black_hole,
                refuse=self.mix.his_refuse,
            ),
        }
        outside = Process("outside", self.clock, self.network)
        codec = codec_of(self.mix.dialect)
        reading = _reading(self.mix.dialect)
        self.bank = BankHost(
            self.clock,
            self._randoms["bank"],
            self.mix,
            codec,
            reading,
            self.trace,
            [(one.merchant, one.terminal) for one in BANK.terminals],
            EPOCH_S,
        )
        self.his = HisHost(self.clock, self._randoms["his"], self.mix, self.trace)
        self.network.listen(outside, BANK_PORT, self.bank)
        self.network.listen(outside, HIS_PORT, self.his)
        self.database = Watched(self.clock, self.trace)
        self.faults = DatabaseFaults(self._randoms["fate"], self.mix, self.clock.seconds)
        self.nodes: dict[str, Node] = {}
        self.chips = Chips(
            self.clock, self._randoms["chips"], self.mix, self._reachable, self.trace
        )
        self.origins = Origins(
            self.clock, self._randoms["kiosks"], self.mix, self._reachable, self.trace
        )
        self._healed = False
        self._lost: Mortal | None = None
        self._hsm_fails = self.mix.hsm_down > 0
        self.wire = Wire(codec, reading, self.database, self.clock, self._epoch_of, self.trace)
        self.told = Acknowledgements(self.bank.pushes, self.database, DAYS[1])
        self.wire.acknowledged = self.told.written
        self.network.seen = self.wire.written
        self.bank.read = self.wire.read

    def trace(self, *parts: object) -> None:
        line = f"{self.clock.rightNow:9.3f} {' '.join(map(str, parts))}"
        self._hash.update(line.encode())
        self.lines.append(line)

    # ---- phases ---------------------------------------------------------------------------------

    def play(self) -> Result:
        violations: list[Violation] = []
        self.safety()
        self.heal()
        self._until(QUIET_S, lambda: False)
        self._until(LIVENESS_S, self._settled)
        self.origins.ask_everything_again()
        self._until(QUIET_S, self._settled_and_told)
        if self.mix.reconcile:
            violations += self.audit(reconciled=False)
            self.reconcile()
        violations += self.audit(reconciled=self.mix.reconcile)
        self.counts |= counted(self.database, self.bank, self.origins.purchases)
        self._close()
        return Result(
            seed=self.seed,
            mix=self.mix_shown,
            violations=violations,
            hash=self._hash.hexdigest(),
            trace=list(self.lines),
            counts=self.counts,
        )

    def safety(self) -> None:
        for name in NODES:
            self._boot(name)
        self.chips.start()
        Kiosks(self.origins, self.chips).plan(self.mix.payments, SAFETY_S * 0.6)
        operations = codec_of(self.mix.dialect).dialect.operations
        Counters(self.origins, operations).plan(self.mix.stories, SAFETY_S * 0.5)
        if self.mix.settles:
            for one in BANK.terminals:
                terminal = LogicalTerminal(
                    bank="bank", merchant=one.merchant, terminal=one.terminal
                )
                at = self._randoms["fate"].uniform(20, SAFETY_S)
                self.clock.callLater(at, self._order, terminal)
        if self.mix.day_turns and announces_day(self.mix.dialect):
            self.database.bank_days["bank"] = DAYS[0]  # as announced the day before
            first_s, _, last_s = ANNOUNCED_S
            at = self._randoms["fate"].uniform(first_s, last_s)
            self.clock.callLater(at, self.bank.pushes.turn_day)
        self._fate()
        self.clock.run(SAFETY_S)

    def _order(self, terminal: LogicalTerminal) -> None:
        """The batch closes now, whatever is on its way in it."""
        nodes = self._reachable()
        if nodes:
            at = nodes[0].engine.timeline.now_ms()
            ordered = nodes[0].journal.batches.order(terminal, "", at)
            Deferred.fromCoroutine(ordered).addErrback(lambda failure: failure.trap(JournalDown))

    def heal(self) -> None:
        self.trace("---- heal")
        self._healed = True
        self.mix.heal()
        self.network.heal()
        self.faults.down_until = 0.0
        for name in NODES:
            process = self.nodes[name].process
            if process.frozen:
                process.thaw()
            if not process.alive:
                self._boot(name)
        if self.mix.node_lost:
            self._lost = self.nodes[self._randoms["fate"].choice(NODES)].process
            self._died(self._lost, "for good")

    def reconcile(self) -> None:
        """The settlement file: what is unproven or stuck is told the truth."""
        self.trace("---- reconcile")
        self.bank.overtaken.clear()
        for _ in range(3):
            for payment in self.database.payments():
                for i, leg in enumerate(payment.legs):
                    if leg.state in (LegState.UNPROVEN, LegState.STUCK):
                        self._evidence(payment, i, leg.kind)
            self.clock.run(self.clock.rightNow + STEP_S)
            self._until(RECONCILED_S, self._settled)
        self.origins.ask_everything_again()
        self._until(QUIET_S, self._settled_and_told)

    def audit(self, reconciled: bool) -> list[Violation]:
        auditor = Auditor(
            self.mix,
            self._hsm_fails,
            self.database,
            self.bank,
            self.his,
            self.origins.purchases,
            self.database.committed,
            self.wire.trespasses,
            self.wire.moves,
            self.chips.ends(),
        )
        batches = self.bank.desk.findings(self.database, self.database.settled.open_at)
        told = [Violation("I4", text) for text in self.told.findings]
        misused = [Violation("I10", text) for text in self.bank.keys.misused]
        scripts = scripts_findings(
            self.database,
            self.bank.notices,
            self.chips.ends(),
            has_notices=codec_of(self.mix.dialect).dialect.script_notice is not None,
        )
        return [*auditor.findings(reconciled), *batches, *told, *misused, *scripts]

    def _evidence(self, payment: Payment, i: int, kind: LegKind) -> None:
        if kind in (LegKind.DEBIT, LegKind.CREDIT):
            owners = self.database.owners
            own = [
                identity for identity in self.bank.entries if owners.get(identity) == payment.key
            ]
            stands = stands_fen(self.bank, own) != 0
        else:
            key = payment.original if kind is LegKind.UNBOOK else payment.key
            booked = any(row.key == key and row.cancelled_at is None for row in self.his.bookings)
            stands = booked is not (kind is LegKind.UNBOOK)
        self.trace("evidence", payment.key, kind, stands)
        engine = self._reachable()[0].engine
        Deferred.fromCoroutine(engine.evidence(payment.key, i, stands=stands))

    def _epoch_of(self, node: str) -> int:
        return self.nodes[node].journal.epoch

    def _until(self, limit_s: float, enough: Callable[[], bool]) -> None:
        end = self.clock.rightNow + limit_s
        while self.clock.rightNow < end and not enough():
            self.clock.run(min(end, self.clock.rightNow + STEP_S))

    def _settled(self) -> bool:
        if any(batch.state in OPEN for batch in self.database.batches.rows):
            return False
        if not all_told(self.database):
            return False
        return all(row.rest is not None for row in self.database.rows.values())

    def _settled_and_told(self) -> bool:
        return self._settled() and self.origins.all_told()

    def _close(self) -> None:
        for node in self.nodes.values():
            node.process.alive = False

    # ---- the fate of nodes ----------------------------------------------------------------------

    def _boot(self, name: str) -> None:
        process = Mortal(
            name,
            self.clock,
            self.network,
            self._randoms[name],
            self.mix,
            self._died,
            self._stalled,
        )
        node = Node(
            process,
            self.database,
            self.faults,
            self._randoms[name],
            self.mix,
            self.clock.seconds,
            self.chips.link_of,
        )
        self.nodes[name] = node
        self.trace(name, "boots", node.journal.epoch)
        node.start()

    def _died(self, process: Mortal, where: str) -> None:
        """kill -9, here and now; a supervisor brings it back."""
        self.trace(process.name, "dies", where)
        self.counts["crashes"] += 1
        self.nodes[process.name].journal.crash()
        process.die()
        wait = self._randoms["fate"].uniform(0.5, 30.0)
        self.clock.callLater(wait, self._again, process)

    def _again(self, process: Mortal) -> None:
        if self.nodes[process.name].process is process and process is not self._lost:
            self._boot(process.name)

    def _fate(self) -> None:
        """Once in ten seconds: perhaps a node stalls, perhaps the database goes away."""
        if self._healed:
            return
        random = self._randoms["fate"]
        for node in self.nodes.values():
            process = node.process
            if process.alive and not process.frozen and random.random() * 6 < self.mix.freeze:
                self._stalled(process, "idle")
        if random.random() * 6 < self.mix.db_down:
            self.faults.down_until = self.clock.rightNow + random.uniform(1, 20)
            self.trace("database", "away")
        self.clock.callLater(10.0, self._fate)

    def _stalled(self, process: Mortal, where: str) -> None:
        """SIGSTOP, a paused virtual machine, a disk that hangs: often longer than the lease."""
        process.frozen = True
        self.counts["freezes"] += 1
        wait = self._randoms["fate"].uniform(5, 120)
        self.trace(process.name, "stalls", where, round(wait))
        self.clock.callLater(wait, self._thaw, process)

    def _thaw(self, process: Mortal) -> None:
        if process.frozen:
            self.trace(process.name, "wakes")
            if self._randoms["fate"].random() < 0.5:  # the heartbeat's thread is the first to run
                self.nodes[process.name].journal.renew()
            process.thaw()

    def _reachable(self) -> list[Node]:
        return [node for node in self.nodes.values() if node.process.alive]


@cache
def _reading(dialect: str) -> Reading:
    return Reading(codec_of(dialect).dialect)


def play(seed: int, keep: int = TRACE_LINES, weather: Mapping[str, Any] | None = None) -> Result:
    """Play one seed; ``weather`` fixes some faults of its mix."""
    return World(seed, keep, weather or {}).play()
