"""The journal in memory, with the same semantics, for the seeded simulator. No threads.

:class:`MemoryDatabase` is the disk and the server: it survives the crash of a node.
:class:`MemoryJournal` is one node's journal on it: what it had not yet committed when it crashed
is gone, and what was committed may never be told (K19). Payments are kept encoded, so nobody holds
a piece of the database by reference.
"""

from collections.abc import Callable, Sequence
from typing import TypeVar

import msgspec
from twisted.internet.defer import Deferred

from switch.model.outcome import Millis
from switch.model.payment import LegState, Payment, Rest
from switch.ports import (
    CommitResult,
    JournalDown,
    LogicalTerminal,
    Reserve,
    Timeline,
    WorkingKeys,
    Write,
)
from switch.store.bank_day import MemoryBankDays
from switch.store.memory_batches import BatchRows, MemoryBatches
from switch.store.memory_faults import MemoryFaults, NoFaults
from switch.store.memory_numbers import Counters, MemoryKeys, MemoryNumbers
from switch.store.memory_terminals import HolderRows, MemoryCluster, MemoryTerminals, NodeRow
from switch.store.notices import MemoryNotices, NoticeRows
from switch.store.rows import (
    encode_late,
    encode_payment,
    encode_write,
    identity_tuple,
    lost,
    trail_of,
)
from switch.store.terminals import Seen

T = TypeVar("T")
_UNDO_OPEN = (LegState.UNDOING, LegState.UNDO_WAIT)
_decoder = msgspec.json.Decoder(Payment)


class _Row:
    """A row of ``payment``."""

    __slots__ = (
        "born_at",
        "claims_bill",
        "fence",
        "on_its_way",
        "owner",
        "rest",
        "state",
        "version",
    )

    def __init__(self, payment: Payment, fence: int, owner: str, claims_bill: bool) -> None:
        self.state = encode_payment(payment)
        self.version = payment.version
        self.rest = payment.rest
        self.on_its_way = payment.rest is None or (
            payment.rest is Rest.EXCEPTION and any(leg.state in _UNDO_OPEN for leg in payment.legs)
        )
        self.born_at = payment.born_at
        self.fence = fence
        self.owner = owner
        self.claims_bill = claims_bill

    def payment(self) -> Payment:
        return _decoder.decode(self.state)


class MemoryDatabase:
    """Tables as dicts. Shared by all nodes of a simulated cluster; nothing in it is deleted."""

    def __init__(self) -> None:
        self.rows: dict[str, _Row] = {}
        self.bills: dict[tuple[str, str], str] = {}
        self.events: dict[tuple[str, int], tuple[str, bytes]] = {}
        """(key, version) → (trail, event)."""
        self.identities: dict[tuple[str, ...], str] = {}
        self.reserved: dict[str, int] = {}
        """Original → what others have reserved of it, in 分."""
        self.nodes: dict[str, NodeRow] = {}
        self.late: list[tuple[int, str, bytes]] = []
        self.late_handled: set[int] = set()
        self.counters = Counters()
        self.working_keys: dict[LogicalTerminal, WorkingKeys] = {}
        self.holders: HolderRows = {}
        self.batches = BatchRows()
        self.notices = NoticeRows()
        self.bank_days: dict[str, str] = {}
        self.epochs = 0

    def payments(self) -> list[Payment]:
        """All of them, for checkers, by birth."""
        found = [row.payment() for row in self.rows.values()]
        return sorted(found, key=lambda payment: (payment.born_at, payment.key))

    def apply(self, write: Write, fence: int, node: str, at: int) -> CommitResult:
        """One write on its own merits, at this moment, as ``journal_apply`` does it in SQL."""
        payment = write.payment
        row = self.rows.get(payment.key)
        wanted = [identity_tuple(identity) for identity in write.identities]
        claims = payment.rest in (None, Rest.DONE, Rest.EXCEPTION)
        if self.nodes[node].epoch != fence:
            return CommitResult(committed=False, reason="fence")
        if payment.version == 1:
            claims = claims and payment.bill != "" and payment.original == ""
            holder = self.bills.get((payment.hospital, payment.bill), "")
            if row is not None:
                return _lost("exists", row)
            if claims and holder:
                return _lost("bill", self.rows[holder])
        else:
            if row is None or row.fence != fence or row.version != payment.version - 1:
                return _lost("fence", row)
            claims = claims and row.claims_bill
        if not self._fits(write.reserve):
            return _lost("reserve", row)
        if any(one in self.identities or self.batches.shut(one, self.counters) for one in wanted):
            return _lost("identity", row)
        for change, sign in ((write.reserve, 1), (write.release, -1)):
            if change is not None:
                held = self.reserved.get(change.original, 0)
                self.reserved[change.original] = held + sign * change.amount_fen
        self.identities.update(dict.fromkeys(wanted, payment.key))
        self.batches.take(wanted, at)
        bill = (payment.hospital, payment.bill)
        if claims:
            self.bills[bill] = payment.key
        elif row is not None and row.claims_bill:
            del self.bills[bill]
        self.rows[payment.key] = _Row(payment, fence, node, claims)
        self.events[payment.key, payment.version] = (trail_of(payment), write.event)
        return CommitResult(committed=True)

    def _fits(self, reserve: Reserve | None) -> bool:
        if reserve is None:
            return True
        return self.reserved.get(reserve.original, 0) + reserve.amount_fen <= reserve.limit_fen


class MemoryJournal:
    """``ports.Journal`` of one simulated node; ``numbers``, ``keys``, ``terminals`` and
    ``bank_days`` are the other ports."""

    def __init__(
        self,
        database: MemoryDatabase,
        timeline: Timeline,
        node_name: str,
        lease_ms: int,
        faults: MemoryFaults | None = None,
    ) -> None:
        """A process starts: a new epoch, a fresh lease. Call :meth:`renew` to keep it."""
        self._database = database
        self._timeline = timeline
        self._name = node_name
        self._lease_ms = lease_ms
        self._faults = faults or NoFaults()
        self._alive = True
        self._retry_ms = 200
        database.epochs += 1
        self.epoch = database.epochs
        self._lease_until = timeline.now_ms() + lease_ms
        self._lease_term = 0
        database.nodes[node_name] = NodeRow(self.epoch, timeline.now_ms(), self._lease_until)
        self.numbers = MemoryNumbers(database.counters, self.settle)
        self.keys = MemoryKeys(database.working_keys, self.settle)
        seen = Seen(self.lease_term, self.lease_left_ms)
        tables = (database.nodes, database.working_keys)
        cluster = MemoryCluster(node_name, self.epoch, *tables, timeline.now_ms)
        self.terminals = MemoryTerminals(database.holders, cluster, seen, self.settle)
        self.bank_days = MemoryBankDays(database.bank_days, self.settle)
        self.batches = MemoryBatches(database, self.settle)
        self.notices = MemoryNotices(database.notices, self.settle)

    # ---- the simulator's handles ---------------------------------------------------------------

    def crash(self) -> None:
        """The process dies: commits not yet on disk vanish, and nobody is told anything more."""
        self._alive = False

    def renew(self) -> None:
        """The heartbeat; does nothing while the database is away or another has our name."""
        row = self._database.nodes[self._name]
        if self._alive and not self._faults.down() and row.epoch == self.epoch:
            if self._lease_until <= self._timeline.now_ms():
                self._lease_term += 1
            self._lease_until = row.lease_until = self._timeline.now_ms() + self._lease_ms

    def close(self) -> None:
        """A clean stop: others may take over at once."""
        row = self._database.nodes[self._name]
        if row.epoch == self.epoch:
            row.lease_until = self._timeline.now_ms()
        self._lease_until = self._timeline.now_ms()
        self._alive = False

    # ---- ports.Journal -------------------------------------------------------------------------

    async def commit(self, write: Write) -> CommitResult:
        """See ``ports.Journal.commit``."""
        encode_write(write, 0)  # refuses what PostgreSQL would refuse
        new = write.payment.version == 1
        if new and self._faults.down():
            raise JournalDown("the database is away")
        told: Deferred[CommitResult] = Deferred()

        def reach() -> None:
            if not self._alive:
                return
            if self._faults.down():
                if new:
                    told.errback(JournalDown("the database went away"))
                else:
                    self._after(self._retry_ms, reach)
                return
            result = self._database.apply(write, self.epoch, self._name, self._timeline.now_ms())
            self._after(self._faults.tell_ms(), lambda: told.callback(result))

        self._after(self._faults.commit_ms(), reach)
        return await told

    async def load(self, key: str) -> Payment | None:
        """See ``ports.Journal.load``; JournalDown while the database is away."""

        def read() -> Payment | None:
            row = self._database.rows.get(key)
            return None if row is None else row.payment()

        return await self.settle(read)

    async def of_terminal(self, terminal: str, prefix: str, limit: int) -> Sequence[Payment]:
        """See ``ports.Journal.of_terminal``."""

        def read() -> list[Payment]:
            keys = sorted(key for key in self._database.rows if key.startswith(prefix))
            found = [self._database.rows[key].payment() for key in keys]
            behind = [one for one in found if one.terminal == terminal and "/" in terminal]
            return behind[:limit]

        return await self.settle(read)

    async def unfinished(self, limit: int) -> Sequence[Payment]:
        """See ``ports.Journal.unfinished``."""

        def claim() -> list[Payment]:
            due = [
                (row.born_at, key)
                for key, row in self._database.rows.items()
                if row.on_its_way and row.fence != self.epoch and self._driver_gone(row)
            ]
            rows = [self._database.rows[key] for _, key in sorted(due)[:limit]]
            for row in rows:
                row.fence, row.owner = self.epoch, self._name
            return [row.payment() for row in rows]

        return await self.settle(claim)

    async def claim(self, key: str) -> Payment | None:
        """See ``ports.Journal.claim``."""

        def take() -> Payment | None:
            row = self._database.rows.get(key)
            if row is None:
                return None
            if row.fence != self.epoch:
                if row.on_its_way and not self._driver_gone(row):
                    return None
                row.fence, row.owner = self.epoch, self._name
            return row.payment()

        return await self.settle(take)

    def lease_term(self) -> int:
        """See ``ports.Journal.lease_term``."""
        return self._lease_term

    def lease_left_ms(self) -> int:
        """See ``ports.Journal.lease_left_ms``."""
        return max(0, self._lease_until - self._timeline.now_ms()) if self._alive else 0

    async def record_late(self, key: str, what: bytes) -> None:
        """See ``ports.Journal.record_late``."""
        encode_late(key, what, 0)  # likewise
        done: Deferred[None] = Deferred()

        def reach() -> None:
            if self._faults.down():
                self._after(self._retry_ms, reach)
                return
            self._database.late.append((len(self._database.late) + 1, key, what))
            done.callback(None)

        self._after(self._faults.commit_ms(), reach)
        await done

    async def late_open(self) -> list[tuple[int, str, bytes]]:
        """As ``PostgresJournal.late_open``."""
        return await self.settle(
            lambda: [
                entry
                for entry in self._database.late
                if entry[0] not in self._database.late_handled and self._is_for_us(entry[1])
            ][:1000]
        )

    async def late_handled(self, number: int) -> None:
        """As ``PostgresJournal.late_handled``."""
        await self.settle(lambda: self._database.late_handled.add(number))

    # ---- inside --------------------------------------------------------------------------------

    async def settle(self, work: Callable[[], T]) -> T:
        """A read or reservation: takes as long as a commit, fails while the database is away."""
        done: Deferred[T] = Deferred()

        def reach() -> None:
            if self._faults.down():
                done.errback(JournalDown("the database is away"))
            else:
                done.callback(work())

        self._after(self._faults.commit_ms(), reach)
        return await done

    def _after(self, delay_ms: int, what: Callable[[], object]) -> None:
        """Later, unless the process has died by then."""

        def alive() -> None:
            if self._alive:
                what()

        self._timeline.call_at(Millis(self._timeline.now_ms() + delay_ms), alive)

    def _driver_gone(self, row: _Row) -> bool:
        """Its node's lease ran out, or it was driven by the process before us of our name."""
        owner = self._database.nodes[row.owner]
        return row.owner == self._name or owner.lease_until < self._timeline.now_ms()

    def _is_for_us(self, key: str) -> bool:
        row = self._database.rows.get(key)
        if row is None:
            return False
        driver = self._database.nodes[row.owner]
        driven = driver.epoch == row.fence and driver.lease_until > self._timeline.now_ms()
        return row.fence == self.epoch or (row.rest is not None and not driven)


def _lost(verdict: str, row: _Row | None) -> CommitResult:
    return lost(verdict, None if row is None else row.payment())
