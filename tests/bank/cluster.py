"""Several switch nodes on one database in memory, for bank channels: rows, leases, no threads."""

from switch.store.bank_day import MemoryBankDays
from switch.store.memory_numbers import Counters, MemoryKeys, MemoryNumbers
from switch.store.memory_terminals import MemoryCluster, MemoryTerminals, NodeRow
from switch.store.terminals import Seen

LEASE_MS = 30_000


async def now(work):
    """The database answers at once."""
    return work()


class Database:
    """What all nodes share."""

    def __init__(self, timeline):
        self.timeline = timeline
        self.counters = Counters()
        self.keys = {}
        self.holders = {}
        self.nodes = {}
        self.days = {}
        self.epochs = 0


class Node:
    """One process on it. Its lease is renewed by ``beat``, for ever unless ``freeze`` stops it."""

    def __init__(self, database, name="a"):
        self.database, self.node = database, name
        database.epochs += 1
        self.epoch = database.epochs
        self.term, self.frozen = 0, False
        database.nodes[name] = NodeRow(self.epoch, self.now_ms(), 0)
        self._lease_until = 0
        self.beat()
        self.term = 0
        self.numbers = MemoryNumbers(database.counters, self.settle)
        self.keys = MemoryKeys(database.keys, self.settle)
        tables = (database.nodes, database.keys)
        cluster = MemoryCluster(name, self.epoch, *tables, self.now_ms)
        seen = Seen(lambda: self.term, self.lease_left_ms)
        self.terminals = MemoryTerminals(database.holders, cluster, seen, self.settle)
        self.bank_days = MemoryBankDays(database.days, self.settle)

    async def settle(self, work):
        """A frozen process hears nothing until it wakes; here it simply never asks."""
        return await now(work)

    def beat(self):
        """Renew the lease, now and every so often."""
        row = self.database.nodes[self.node]
        if self.frozen or row.epoch != self.epoch:
            return
        if self._lease_until <= self.now_ms():
            self.term += 1
        self._lease_until = row.lease_until = self.now_ms() + LEASE_MS
        at = self.now_ms() + LEASE_MS // 3
        self.database.timeline.call_at(at, self.beat)

    def now_ms(self):
        return self.database.timeline.now_ms()

    def lease_left_ms(self):
        return max(0, self._lease_until - self.now_ms())
