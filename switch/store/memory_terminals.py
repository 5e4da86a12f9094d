"""Whose a logical terminal is, in memory: the table of :mod:`.terminals` as a dict."""

from collections.abc import Callable, Mapping, Sequence

from switch.model.logical_terminal import Holding, LogicalTerminal, WorkingKeys
from switch.store.memory_numbers import Settle
from switch.store.terminals import Seen


class HolderRow:
    """A row of ``terminal_holder``."""

    __slots__ = ("fence", "number", "owner", "wanted_by", "wanted_until")

    def __init__(self) -> None:
        self.owner = ""
        self.fence = 0
        self.number = 0
        self.wanted_by = ""
        self.wanted_until = 0


HolderRows = dict[LogicalTerminal, HolderRow]


class NodeRow:
    """A row of ``node``."""

    __slots__ = ("begin", "epoch", "lease_until")

    def __init__(self, epoch: int, begin: int, lease_until: int) -> None:
        self.epoch = epoch
        self.begin = begin
        self.lease_until = lease_until


class MemoryCluster:
    """One node among the others: what the table needs of the tables beside it."""

    def __init__(
        self,
        node: str,
        epoch: int,
        nodes: Mapping[str, NodeRow],
        keys: Mapping[LogicalTerminal, WorkingKeys],
        now_ms: Callable[[], int],
    ) -> None:
        self.node = node
        self.epoch = epoch
        self.now_ms = now_ms
        self._nodes = nodes
        self._keys = keys

    @property
    def alone(self) -> bool:
        """No other node is alive."""
        others = [row for name, row in self._nodes.items() if name != self.node]
        return all(row.lease_until <= self.now_ms() for row in others)

    def key_generation(self, terminal: LogicalTerminal) -> int:
        """Of its newest stored keys; 0 = none."""
        keys = self._keys.get(terminal)
        return keys.generation if keys else 0

    def lease_of(self, node: str) -> NodeRow:
        """The newest process of a node that is known."""
        return self._nodes[node]


class MemoryTerminals:
    """``ports.Terminals``."""

    def __init__(
        self, rows: HolderRows, cluster: MemoryCluster, seen: Seen, settle: Settle
    ) -> None:
        self._rows = rows
        self._cluster = cluster
        self._seen = seen
        self._settle = settle
        self.node = cluster.node
        self.holds = seen.holds

    async def hold(
        self, terminals: Sequence[LogicalTerminal], patience_ms: int
    ) -> Sequence[Holding]:
        """As ``PostgresTerminals.hold``."""
        term = self._seen.term()
        us = self._cluster

        def work() -> list[Holding]:
            mine = us.lease_of(us.node)
            alive = mine.epoch == us.epoch and mine.lease_until > us.now_ms()
            for terminal in terminals if alive else ():
                row = self._rows.setdefault(terminal, HolderRow())
                if row.fence != us.epoch and self._free(row, patience_ms):
                    _hand_over(row, us.node, us.epoch)
            found = [(one, self._rows[one]) for one in terminals if one in self._rows]
            return [self._shown(one, row) for one, row in found]

        holdings: list[Holding] = await self._settle(work)
        self._seen.take_note(holdings, term)
        return holdings

    async def want(self, terminals: Sequence[LogicalTerminal], for_ms: int) -> None:
        """As ``PostgresTerminals.want``."""
        us = self._cluster

        def work() -> None:
            for row in (self._rows[one] for one in terminals if one in self._rows):
                open_to_us = row.wanted_by == us.node or row.wanted_until <= us.now_ms()
                if row.fence != us.epoch and open_to_us:
                    row.wanted_by, row.wanted_until = us.node, us.now_ms() + for_ms

        await self._settle(work)

    async def give_up(self, terminal: LogicalTerminal) -> None:
        """As ``PostgresTerminals.give_up``."""
        self._seen.leave(terminal)
        us = self._cluster

        def work() -> None:
            row = self._rows.get(terminal)
            if row is None or row.fence != us.epoch:
                return
            node, epoch = "", 0
            if row.wanted_by and row.wanted_until > us.now_ms():
                wishing = us.lease_of(row.wanted_by)
                if wishing.lease_until > us.now_ms():
                    node, epoch = row.wanted_by, wishing.epoch
            _hand_over(row, node, epoch)
            row.wanted_by, row.wanted_until = "", 0

        try:
            await self._settle(work)
        finally:
            self._seen.left(terminal)

    def _free(self, row: HolderRow, patience_ms: int) -> bool:
        """Our predecessor is dead: two processes of one name cannot run."""
        if row.owner in {"", self._cluster.node}:
            return True
        owner = self._cluster.lease_of(row.owner)
        held_until = owner.lease_until if owner.epoch == row.fence else owner.begin
        return held_until + patience_ms < self._cluster.now_ms()

    def _shown(self, terminal: LogicalTerminal, row: HolderRow) -> Holding:
        wished = row.wanted_until > self._cluster.now_ms()
        return Holding(
            terminal=terminal,
            node=row.owner,
            ours=row.fence == self._cluster.epoch,
            number=row.number,
            wanted_by=row.wanted_by if wished else "",
            key_generation=self._cluster.key_generation(terminal),
            alone=self._cluster.alone,
        )


def _hand_over(row: HolderRow, node: str, epoch: int) -> None:
    row.owner, row.fence = node, epoch
    row.number += 1
    if row.wanted_by == node:
        row.wanted_by = ""
