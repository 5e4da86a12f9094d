"""The journal over PostgreSQL: ``ports.Journal``, and the ports beside it (numbers, keys,
terminals, bank days).

Two threads of its own, each with one session: the writer (group commit, :mod:`.writer`) and the
reader (loads, claims, numbers, heartbeat, :mod:`.reader`). The reactor is told once per batch.
"""

import itertools
import threading
import time
from collections.abc import Sequence
from typing import Any

import psycopg2
from psycopg2.extensions import connection
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from switch.model.payment import Payment
from switch.observe.logs import get_logger
from switch.ports import CommitResult, JournalDown, Timeline, Write
from switch.store.bank_day import PostgresBankDays
from switch.store.batches import PostgresBatches
from switch.store.errors import StoreError
from switch.store.key_source import PostgresKeySource
from switch.store.migrate import migrate
from switch.store.node import Node
from switch.store.notices import PostgresNotices
from switch.store.numbers import PostgresKeys, PostgresNumbers
from switch.store.reader import Reader
from switch.store.rows import decode_payment, encode_late, encode_write
from switch.store.session import open_session
from switch.store.settings import JournalSettings, journal_dsn, masked_dsn
from switch.store.terminals import PostgresTerminals, Seen
from switch.store.threads import CallFromThread, close_quietly, fire
from switch.store.writer import Writer

_log = get_logger("journal")

_OF_TERMINAL = """
SELECT key, state::text, checksum FROM payment
WHERE terminal = %s AND terminal LIKE '%%/%%' AND key ~>=~ %s AND key ~<~ %s
ORDER BY key USING ~<~ LIMIT %s
"""
_LAST_CHARACTER = "\U0010ffff"
"""Sorts behind whatever may follow a prefix."""

_LATE = """
SELECT l.id, l.key, l.what FROM late_reply l JOIN payment p USING (key)
WHERE l.handled_at IS NULL AND (
    p.fence = %(epoch)s
    OR (p.rest IS NOT NULL AND NOT EXISTS (
        SELECT FROM node n WHERE n.epoch = p.fence AND n.lease_until > clock_timestamp())))
ORDER BY l.id LIMIT 1000
"""


class PostgresJournal:
    """Made by :func:`open_journal`. Methods are called in the reactor's thread."""

    def __init__(
        self,
        settings: JournalSettings,
        timeline: Timeline,
        node_name: str,
        call_from_thread: CallFromThread,
    ) -> None:
        self._settings = settings
        self._timeline = timeline
        self._dsn = journal_dsn(settings)
        self._call_from_thread = call_from_thread
        self._node = Node(node_name, settings.lease_ms)
        self._numbers = itertools.count(1)
        self._writer = Writer(self._connect_writer, self._node, settings, call_from_thread)
        self._reader = Reader(
            self._connect_reader, self._node, settings, call_from_thread, timeline.now_ms
        )
        self.numbers = PostgresNumbers(self._reader)
        self.keys = PostgresKeys(self._reader)
        seen = Seen(self.lease_term, self.lease_left_ms)
        self.terminals = PostgresTerminals(self._reader, self._node, seen)
        self.batches = PostgresBatches(self._reader)
        self.notices = PostgresNotices(self._reader)
        self.bank_days = PostgresBankDays(self._reader)
        self.key_source = PostgresKeySource(self._reader, node_name)

    @property
    def epoch(self) -> int:
        """This process's fence."""
        return self._node.epoch

    # ---- ports.Journal -------------------------------------------------------------------------

    async def commit(self, write: Write) -> CommitResult:
        """See ``ports.Journal.commit``. WriteRejected when no database could take the write."""
        number = next(self._numbers)
        payment = write.payment
        text = encode_write(write, number)
        return await self._writer.submit(number, payment.key, payment.version == 1, text)

    async def load(self, key: str) -> Payment | None:
        """The payment as committed; JournalDown when the database is away, Corrupt (I1)."""

        def work(conn: connection) -> Payment | None:
            with conn.cursor() as cursor:
                cursor.execute("SELECT state::text, checksum FROM payment WHERE key = %s", (key,))
                row = cursor.fetchone()
            return None if row is None else decode_payment(key, row[0], row[1])

        return await self._reader.submit(work)

    async def of_terminal(self, terminal: str, prefix: str, limit: int) -> Sequence[Payment]:
        """See ``ports.Journal.of_terminal``; JournalDown when the database is away."""

        def work(conn: connection) -> list[Payment]:
            with conn.cursor() as cursor:
                cursor.execute(_OF_TERMINAL, (terminal, prefix, prefix + _LAST_CHARACTER, limit))
                return [decode_payment(key, state, checksum) for key, state, checksum in cursor]

        return await self._reader.submit(work)

    async def unfinished(self, limit: int) -> Sequence[Payment]:
        """See ``ports.Journal.unfinished``; JournalDown when the database is away."""
        return await self._reader.submit(lambda conn: self._node.claim(conn, limit))

    async def claim(self, key: str) -> Payment | None:
        """See ``ports.Journal.claim``; JournalDown when the database is away."""
        return await self._reader.submit(lambda conn: self._node.claim_one(conn, key))

    def lease_term(self) -> int:
        """See ``ports.Journal.lease_term``."""
        return self._reader.lease_term

    def lease_left_ms(self) -> int:
        """See ``ports.Journal.lease_left_ms``. 0 for ever once another process has our name."""
        if self._writer.superseded:
            return 0
        return max(0, self._reader.lease_until_ms - self._timeline.now_ms())

    async def record_late(self, key: str, what: bytes) -> None:
        """See ``ports.Journal.record_late``; like a later version of a payment it keeps trying."""
        number = next(self._numbers)
        await self._writer.submit(number, key, False, encode_late(key, what, number))

    # ---- late answers, for the one who drives the payment --------------------------------------

    async def late_open(self) -> list[tuple[int, str, bytes]]:
        """Late answers (id, payment key, what) that are for us: of payments we drive, or of
        payments at rest whose node is gone. At most 1000, oldest first. They stay until
        :meth:`late_handled`."""

        def work(conn: connection) -> list[tuple[int, str, bytes]]:
            with conn.cursor() as cursor:
                cursor.execute(_LATE, {"epoch": self._node.epoch})
                return [(number, key, what.encode()) for number, key, what in cursor]

        return await self._reader.submit(work)

    async def late_handled(self, number: int) -> None:
        """The event of this late answer is committed: do not show it again."""

        def work(conn: connection) -> None:
            with conn.cursor() as cursor:
                cursor.execute(
                    "UPDATE late_reply SET handled_at = clock_timestamp() WHERE id = %s", (number,)
                )

        await self._reader.submit(work)

    async def exceptions_open(self) -> int:
        """How many payments wait for a person (I15)."""

        def work(conn: connection) -> int:
            with conn.cursor() as cursor:
                cursor.execute("SELECT count(*) FROM payment WHERE rest = 'exception'")
                return int((cursor.fetchone() or (0,))[0])

        return await self._reader.submit(work)

    # ---- life ----------------------------------------------------------------------------------

    def open(self) -> "Deferred[PostgresJournal]":
        """Connect, check, migrate, take the node's name, epoch and lease; then start both threads.

        Fails with StartRefused (I4, schema, name taken) or JournalDown (not reachable within
        ``connect_timeout_ms``)."""
        opened: Deferred[PostgresJournal] = Deferred()
        boot = threading.Thread(target=self._boot, args=(opened,), name="journal boot", daemon=True)
        boot.start()
        return opened

    def close(self) -> "Deferred[None]":
        """Write what is queued, give the lease back, end both threads. Stop the engine before:
        after this call every method raises JournalDown."""
        self._writer.close()
        closed: Deferred[None] = Deferred()

        def wait() -> None:
            patience_s = self._settings.statement_timeout_ms / 1000 + 5
            self._writer.join(patience_s)
            self._reader.close()
            self._reader.join(patience_s)
            self._call_from_thread(fire, [(closed, None)])

        threading.Thread(target=wait, name="journal close", daemon=True).start()
        return closed

    def _boot(self, opened: Deferred[Any]) -> None:
        result: object = self
        writer: connection | None = None
        reader: connection | None = None
        try:
            writer = self._first_session()
            applied = migrate(writer)
            self._node.lock(writer, self._settings.connect_timeout_ms)
            asked_ms = self._timeline.now_ms()
            self._node.register(writer)
            reader = self._connect_reader()
        except StoreError as error:
            close_quietly(writer)
            close_quietly(reader)
            result = Failure(error)
        except psycopg2.Error as error:
            close_quietly(writer)
            close_quietly(reader)
            # Nothing but connecting and set-up has happened: the text repeats no row (I12).
            result = Failure(JournalDown(f"{self._where()}: {str(error).strip()}"))
        else:
            self._writer.start(writer)
            self._reader.start(reader, asked_ms + self._settings.lease_ms)
            _log.info(
                "journal_open",
                node=self._node.name,
                epoch=self._node.epoch,
                migrations=applied,
                dsn=self._where(),
                waiver=self._settings.waiver,
            )
        self._call_from_thread(fire, [(opened, result)])

    def _first_session(self) -> connection:
        """The database may be starting beside us: try until ``connect_timeout_ms`` is over."""
        end = time.monotonic() + self._settings.connect_timeout_ms / 1000
        while True:
            try:
                return open_session(self._dsn, self._settings, f"{self._node.name} writer")
            except psycopg2.OperationalError:
                if time.monotonic() > end:
                    raise
            time.sleep(0.05)

    def _connect_writer(self) -> connection:
        """Again, after the session was lost: under our name and epoch, or not at all (I13)."""
        conn = open_session(self._dsn, self._settings, f"{self._node.name} writer")
        try:
            self._node.verify(conn)
            self._node.lock(conn, self._settings.connect_timeout_ms)
            self._node.verify(conn)
        except BaseException:
            close_quietly(conn)
            raise
        return conn

    def _connect_reader(self) -> connection:
        return open_session(self._dsn, self._settings, f"{self._node.name} reader")

    def _where(self) -> str:
        return masked_dsn(self._dsn)


def open_journal(
    settings: JournalSettings, reactor: Any, timeline: Timeline, node_name: str
) -> "Deferred[PostgresJournal]":
    """The journal of this process, open. ``node_name`` is unique among the nodes of a database.

    ``journal.numbers``, ``.keys``, ``.terminals``, ``.bank_days`` are other ports. Fails as
    :meth:`PostgresJournal.open` says.
    """
    return PostgresJournal(settings, timeline, node_name, reactor.callFromThread).open()
