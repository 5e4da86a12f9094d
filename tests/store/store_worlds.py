"""Two worlds for the contract: PostgreSQL, and memory on virtual time."""

from collections.abc import Coroutine
from contextlib import suppress
from typing import Any

import psycopg2
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from switch.model.payment import (
    Leg,
    LegKind,
    LegPolicy,
    LegState,
    OnUnknown,
    Payment,
    Rung,
    RungKind,
)
from switch.ports import Identity, LogicalTerminal, Write
from switch.store.journal import PostgresJournal
from switch.store.memory import MemoryDatabase, MemoryJournal
from switch.store.testing import Pump, journal_settings
from switch.timeline import ReactorTimeline

HOUR_MS = 3_600_000
TERMINAL = LogicalTerminal(bank="b", merchant="m", terminal="t")
POLICY = LegPolicy(timeout_ms=30_000, on_unknown=OnUnknown.UNDO, ladder=(Rung(RungKind.REVERSAL),))


def payment(key: str, version: int = 1, **changes: Any) -> Payment:
    """A bill payment at ``version``; its bill is its own unless given."""
    values: dict[str, Any] = {
        "hospital": "H1",
        "business": "outpatient_bill",
        "terminal": "K1",
        "amount_fen": 12_345,
        "request_hash": "0" * 64,
        "born_at": 1_000,
        "business_date": "20260101",
        "bill": f"bill of {key}",
        "patient": "张三",
        "legs": (
            Leg(kind=LegKind.DEBIT, counterparty="bank", amount_fen=12_345, policy=POLICY),
            Leg(
                kind=LegKind.BOOK,
                counterparty="his",
                amount_fen=12_345,
                policy=POLICY,
                state=LegState.DOING,
                facts={"F2": "v1:AAAA", "note": '引号" 反斜杠\\ 换行\n'},
            ),
        ),
    }
    return Payment(key=key, version=version, **(values | changes))


def write(key: str, version: int = 1, identities: tuple = (), **changes: Any) -> Write:
    """A write of :func:`payment`."""
    event = b'{"event":{"kind":"do_done","at":5,"text":"\xe5\xa5\xbd"},"effects":[]}'
    return Write(payment=payment(key, version, **changes), event=event, identities=identities)


def identity(stan: int, **changes: str) -> Identity:
    """A message number at one bank."""
    values = {
        "bank": "b",
        "merchant": "m",
        "terminal": "t",
        "batch": "000001",
        "business_date": "20260101",
    }
    return Identity(stan=f"{stan:06d}", **(values | changes))


class PostgresWorld:
    """Nodes with real threads on a real database."""

    def __init__(self, dsn: str) -> None:
        self.dsn = dsn
        self.pump = Pump()
        self.journals: list[PostgresJournal] = []
        self._timeline = ReactorTimeline(Clock())

    def node(self, name: str, dsn: str = "", **settings: Any) -> PostgresJournal:
        """Start a node whose lease outlives the test unless :meth:`expire` ends it."""
        chosen = {"lease_ms": HOUR_MS, "lease_renew_ms": HOUR_MS // 4} | settings
        journal = PostgresJournal(
            journal_settings(dsn or self.dsn, **chosen),
            self._timeline,
            name,
            self.pump.call_from_thread,
        )
        self.pump.run(journal.open())
        self.journals.append(journal)
        return journal

    def run(self, work: Coroutine[Any, Any, Any] | Deferred[Any]) -> Any:
        return self.pump.run(work)

    def run_all(self, works: list) -> list:
        return self.pump.run_all(works)

    def expire(self, name: str) -> None:
        """As if the node had not renewed for long."""
        self.sql("UPDATE node SET lease_until = now() - interval '1 s' WHERE name = %s", name)

    def sql(self, statement: str, *arguments: object) -> list[tuple]:
        """From outside, as an operator would."""
        conn = psycopg2.connect(self.dsn)
        try:
            conn.autocommit = True
            with conn.cursor() as cursor:
                cursor.execute(statement, arguments)
                return cursor.fetchall() if cursor.description else []
        finally:
            conn.close()

    def close(self) -> None:
        for journal in self.journals:
            self.pump.run(journal.close())


class MemoryWorld:
    """Nodes on virtual time."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.database = MemoryDatabase()
        self._timeline = ReactorTimeline(
            self.clock, monotonic_s=self.clock.seconds, epoch_s=lambda: 0.0
        )
        self._journals: dict[str, MemoryJournal] = {}

    def node(self, name: str) -> MemoryJournal:
        self._journals[name] = MemoryJournal(self.database, self._timeline, name, HOUR_MS)
        return self._journals[name]

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        (result,) = self.run_all([work])
        if isinstance(result, Exception):
            raise result
        return result

    def run_all(self, works: list) -> list:
        results: list[Any] = [None] * len(works)
        waiting = set(range(len(works)))

        def finished(result: Any, number: int) -> None:
            results[number] = getattr(result, "value", result)
            waiting.discard(number)

        for number, work in enumerate(works):
            Deferred.fromCoroutine(work).addBoth(finished, number)
        while waiting:
            assert self.clock.getDelayedCalls(), "nothing is left that could finish it"
            self.clock.advance(
                max(0.0, self.clock.getDelayedCalls()[0].getTime() - self.clock.seconds())
            )
        return results

    def expire(self, name: str) -> None:
        self.database.nodes[name].lease_until = -1

    def close(self) -> None:
        for journal in self._journals.values():
            with suppress(KeyError):
                journal.close()
