"""Which node a logical terminal belongs to (rules 15 and 16), in the database.

What is ours is remembered with the term of the lease it was seen in: a holding can be taken from us
only after that lease has ended in the database, which is later than we think it ended (I13). So a
payment asks memory, never the database.
"""

from collections.abc import Callable, Iterable, Sequence

from psycopg2.extensions import connection

from switch.model.logical_terminal import Holding, LogicalTerminal
from switch.store.node import Node
from switch.store.reader import Reader


class Seen:
    """The terminals that are ours, as last seen. ``term`` and ``left_ms`` are the lease's."""

    def __init__(self, term: Callable[[], int], left_ms: Callable[[], int]) -> None:
        self._term = term
        self._left_ms = left_ms
        self._terms: dict[LogicalTerminal, int] = {}
        self._leaving: set[LogicalTerminal] = set()

    def term(self) -> int:
        """To be read before the database is asked, and given to :meth:`take_note`."""
        return self._term()

    def take_note(self, holdings: Iterable[Holding], term: int) -> None:
        """What the database said; what is being given up meanwhile is ours no longer."""
        for holding in holdings:
            if holding.ours and holding.terminal not in self._leaving:
                self._terms[holding.terminal] = term
            else:
                self._terms.pop(holding.terminal, None)

    def holds(self, terminal: LogicalTerminal) -> bool:
        """``ports.Terminals.holds``."""
        return self._terms.get(terminal) == self._term() and self._left_ms() > 0

    def leave(self, terminal: LogicalTerminal) -> None:
        """Ours no longer, whatever a look that is under way will say."""
        self._leaving.add(terminal)
        self._terms.pop(terminal, None)

    def left(self, terminal: LogicalTerminal) -> None:
        """The database knows it, or could not be told: the next look counts again."""
        self._leaving.discard(terminal)


class PostgresTerminals:
    """``ports.Terminals``."""

    def __init__(self, reader: Reader, node: Node, seen: Seen) -> None:
        self._reader = reader
        self._node = node
        self._seen = seen
        self.node = node.name
        self.holds = seen.holds

    async def hold(
        self, terminals: Sequence[LogicalTerminal], patience_ms: int
    ) -> Sequence[Holding]:
        """One round trip for each bank among them; commits only where something is free."""
        found: list[Holding] = []
        for bank, (merchants, names) in _by_bank(terminals).items():
            found += await self._hold(bank, merchants, names, patience_ms)
        return found

    async def _hold(
        self, bank: str, merchants: list[str], names: list[str], patience_ms: int
    ) -> list[Holding]:
        term = self._seen.term()

        def work(conn: connection) -> list[Holding]:
            with conn.cursor() as cursor:
                cursor.execute(
                    "SELECT merchant, terminal, owner, ours, number, wanted_by, key_generation,"
                    " alone FROM hold_terminals(%s, %s, %s, %s, %s, %s)",
                    (self._node.name, self._node.epoch, bank, merchants, names, patience_ms),
                )
                return [
                    Holding(
                        terminal=LogicalTerminal(bank=bank, merchant=merchant, terminal=name),
                        node=owner,
                        ours=ours,
                        number=number,
                        wanted_by=wanted_by,
                        key_generation=generation,
                        alone=alone,
                    )
                    for merchant, name, owner, ours, number, wanted_by, generation, alone in cursor
                ]

        holdings = await self._reader.submit(work)
        self._seen.take_note(holdings, term)
        return holdings

    async def want(self, terminals: Sequence[LogicalTerminal], for_ms: int) -> None:
        """See ``ports.Terminals.want``."""
        by_bank = _by_bank(terminals)

        def work(conn: connection) -> None:
            with conn.cursor() as cursor:
                for bank, (merchants, names) in by_bank.items():
                    cursor.execute(
                        "SELECT want_terminals(%s, %s, %s, %s, %s, %s)",
                        (self._node.name, self._node.epoch, bank, merchants, names, for_ms),
                    )

        await self._reader.submit(work)

    async def give_up(self, terminal: LogicalTerminal) -> None:
        """See ``ports.Terminals.give_up``."""
        self._seen.leave(terminal)

        def work(conn: connection) -> None:
            with conn.cursor() as cursor:
                cursor.execute(
                    "SELECT give_up_terminal(%s, %s, %s, %s)",
                    (self._node.epoch, terminal.bank, terminal.merchant, terminal.terminal),
                )

        try:
            await self._reader.submit(work)
        finally:
            self._seen.left(terminal)


def _by_bank(terminals: Sequence[LogicalTerminal]) -> dict[str, tuple[list[str], list[str]]]:
    """Bank → (F42s, F41s), in one order for all nodes."""
    banks: dict[str, tuple[list[str], list[str]]] = {}
    for one in sorted(terminals, key=lambda one: (one.bank, one.merchant, one.terminal)):
        merchants, names = banks.setdefault(one.bank, ([], []))
        merchants.append(one.merchant)
        names.append(one.terminal)
    return banks
