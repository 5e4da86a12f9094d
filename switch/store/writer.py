"""The one writer thread: drains the queue, commits batches (group commit), tells the reactor.

Rules: the journal's thread never sleeps with writes in its queue; while one batch is being
committed the next gathers. A commit whose result was lost (K19) is settled after the reconnection:
the node's lock proves that the old session has ended, then first writes are looked up and all
others are applied again, which is the same as once.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence

import psycopg2
from psycopg2.extensions import connection
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from switch.observe import metrics
from switch.observe.crash import crash_point
from switch.observe.logs import get_logger
from switch.ports import CommitResult, JournalDown
from switch.store.errors import Corrupt, StartRefused, WriteRejected
from switch.store.node import Node, Superseded
from switch.store.rows import decode_payment, lost
from switch.store.settings import JournalSettings
from switch.store.threads import (
    CallFromThread,
    Fired,
    close_quietly,
    error_name,
    fail_stop,
    fire,
    hung_up,
    is_broken,
)

_log = get_logger("journal")

_APPLY = "SELECT n, verdict, row_state, row_checksum FROM journal_apply(%s, %s, %s, %s)"
_COMMITTED = CommitResult(committed=True)
_SUPERSEDED = "YYT13"
_AWAY = ("08", "53", "57", "58", "XX")
"""Classes of SQLSTATE that say *not now*: connection, resources, operator, system."""
_AGAIN = ("40", "55", "YYT01")
"""Deadlock, serialization, lock not available, our own *raced*: repeat the db_transaction."""
_AGAIN_MAX = 50
"""So many in a row are a defect, and nobody else may wait behind it."""


class _Item:
    """One write on its way."""

    __slots__ = ("deferred", "key", "new", "number", "text", "told")

    def __init__(self, number: int, key: str, new: bool, text: str) -> None:
        self.number = number
        self.key = key
        self.new = new
        self.text = text
        self.told = False
        self.deferred: Deferred[CommitResult] = Deferred()


class _Closing(Exception):  # noqa: N818 - ends the thread
    """The journal is being closed and the database is away."""


class Writer:
    """Owns the write session. ``submit`` and ``close`` are called in the reactor's thread."""

    def __init__(
        self,
        connect: Callable[[], connection],
        node: Node,
        settings: JournalSettings,
        call_from_thread: CallFromThread,
    ) -> None:
        self._connect = connect
        self._node = node
        self._settings = settings
        self._call_from_thread = call_from_thread
        self._queue: deque[_Item] = deque()
        self._waiting_new = 0
        self._ready = threading.Condition()
        self._closing = threading.Event()
        self._session: connection | None = None
        self._down = False
        self.superseded = False
        self._thread = threading.Thread(
            target=fail_stop(self._run), name="journal writer", daemon=True
        )

    def start(self, session: connection) -> None:
        """Begin with a session that holds the node's lock."""
        self._session = session
        self._thread.start()

    def submit(self, number: int, key: str, new: bool, text: str) -> Deferred[CommitResult]:
        """Queue one write. Raises JournalDown for a new payment that cannot be taken now."""
        item = _Item(number, key, new, text)
        with self._ready:
            if self._closing.is_set():
                raise JournalDown("the journal is closed")
            if new:
                if self._down or self.superseded:
                    raise JournalDown("the database is away")
                if self._waiting_new >= self._settings.queue_limit:
                    raise JournalDown("the journal's queue is full")
                self._waiting_new += 1
            self._queue.append(item)
            if len(self._queue) == 1:
                self._ready.notify()
        return item.deferred

    def close(self) -> None:
        """Ask the thread to write what is queued and end (see :meth:`join`)."""
        with self._ready:
            self._closing.set()
            self._ready.notify()

    def join(self, timeout_s: float) -> None:
        """Wait for the end; the session is closed then."""
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    # ---- in the thread -------------------------------------------------------------------------

    def _run(self) -> None:
        while batch := self._take():
            metrics.JOURNAL_BATCH_SIZE.observe(len(batch))
            try:
                self._settle(batch)
            except _Closing:
                with self._ready:
                    batch.extend(self._queue)
                    self._queue.clear()
                self._fail(batch, JournalDown("closed without the database"))
                break
            except Superseded as error:
                self._lose(batch, error)
        close_quietly(self._session)

    def _take(self) -> list[_Item]:
        """The next batch; empty = closed and nothing left."""
        with self._ready:
            while not self._queue and not self._closing.is_set():
                self._ready.wait()
            size = min(len(self._queue), self._settings.batch_limit)
            batch = [self._queue.popleft() for _ in range(size)]
            self._waiting_new -= sum(item.new for item in batch)
            metrics.JOURNAL_QUEUE_DEPTH.set(len(self._queue))
        return batch

    def _settle(self, batch: list[_Item]) -> None:
        """Commit ``batch``, whatever it takes; every Deferred of it is fired."""
        tries = 0
        while batch:
            if self._session is None or self._session.closed or hung_up(self._session):
                # Nothing of this batch was sent: births in it are refused at once, not in doubt.
                self._fail(
                    [item for item in batch if item.new], JournalDown("the database is away")
                )
                batch = [item for item in batch if not item.new]
                self._reopen("hung up")
                continue
            try:
                losers = self._apply(batch)
            except psycopg2.Error as error:
                if error.pgcode == _SUPERSEDED:
                    raise Superseded("I13: this node was started again elsewhere") from None
                batch = self._after(error, batch, tries)
                tries += 1
            else:
                self._down = False
                self._tell(self._results(batch, losers))
                return

    def _apply(self, batch: Sequence[_Item]) -> dict[int, tuple[str, str | None, int]]:
        """One round trip, one commit: number → (verdict, state, checksum) of the losers."""
        assert self._session is not None
        rows = "[" + ",".join([item.text for item in batch]) + "]"
        crash_point("before commit")
        started = time.perf_counter()
        with self._session.cursor() as cursor:
            cursor.execute(_APPLY, (self._node.epoch, self._node.epoch, self._node.name, rows))
            losers = {number: (word, state, crc) for number, word, state, crc in cursor}
        metrics.JOURNAL_COMMIT_SECONDS.observe(time.perf_counter() - started)
        crash_point("committed, not told")
        return losers

    def _after(self, error: psycopg2.Error, batch: list[_Item], tries: int) -> list[_Item]:
        """What is left to do of ``batch`` after ``error``."""
        code = error.pgcode or ""
        if self._session is None or self._session.closed or is_broken(error):
            self._reopen(error_name(error))
            return self._after_unknown(batch)
        if len(batch) > 1:
            # One bad write must not take the others with it: each on its own.
            for item in batch:
                self._settle([item])
            return []
        (item,) = batch
        if code.startswith(_AWAY):
            _log.error("commit_refused", error=error_name(error), invariant="I4")
            if item.new:
                self._fail(batch, JournalDown(error_name(error)))
                return []
            self._refuse_new()
        elif not code.startswith(_AGAIN) or tries >= _AGAIN_MAX:
            _log.error("write_rejected", payment=item.key, error=error_name(error))
            name = error_name(error)
            self._fail(batch, WriteRejected(f"the database rejects this write: {name}"))
            return []
        self._pause(tries)
        return batch

    def _after_unknown(self, batch: list[_Item]) -> list[_Item]:
        """K19: the old session has ended. First writes are found or not; the others go again."""
        news = [item for item in batch if item.new]
        if news:
            found = self._find(news)
            self._tell([(item, _COMMITTED) for item in news if item.number in found])
            self._fail(news, JournalDown("the database went away"))
        return [item for item in batch if not item.new]

    def _find(self, items: Sequence[_Item]) -> set[int]:
        """Which of these first writes are in the journal."""
        while True:
            try:
                assert self._session is not None
                with self._session.cursor() as cursor:
                    cursor.execute(
                        "SELECT write_no FROM payment_event"
                        " WHERE key = ANY(%s) AND version = 1 AND writer = %s",
                        ([item.key for item in items], self._node.epoch),
                    )
                    return {number for (number,) in cursor}
            except psycopg2.Error as error:
                self._reopen(error_name(error))

    def _reopen(self, why: str) -> None:
        """A new session under the node's lock, however long it takes; new payments are refused
        meanwhile. Raises Superseded or _Closing."""
        close_quietly(self._session)
        self._session = None
        _log.warning("database_away", error=why)
        self._refuse_new()
        tries = 0
        while self._session is None:
            try:
                self._session = self._connect()
            except psycopg2.Error as again:
                if tries & (tries - 1) == 0:  # ever more seldom
                    _log.warning("database_still_away", error=error_name(again), tries=tries)
                self._pause(tries)
            except StartRefused as refusal:
                _log.error("database_refused", error=str(refusal), invariant="I4")
                self._pause(tries)
            tries += 1
        self._down = False
        _log.info("database_back", tries=tries)

    def _refuse_new(self) -> None:
        """No new payment until the database is back (I4); those waiting are told."""
        with self._ready:
            self._down = True
            refused = [item for item in self._queue if item.new]
            self._queue = deque(item for item in self._queue if not item.new)
            self._waiting_new = 0
        self._fail(refused, JournalDown("the database is away"))

    def _pause(self, tries: int) -> None:
        """Back off; _Closing when the journal is being closed and this is not the first try."""
        pause_ms = min(50 * 2 ** min(tries, 10), self._settings.retry_max_ms)
        if self._closing.wait(pause_ms / 1000) and tries:
            raise _Closing

    def _results(
        self, batch: Sequence[_Item], losers: dict[int, tuple[str, str | None, int]]
    ) -> list[tuple[_Item, object]]:
        if not losers:
            return [(item, _COMMITTED) for item in batch]
        results: list[tuple[_Item, object]] = []
        for item in batch:
            loser = losers.get(item.number)
            if loser is None:
                results.append((item, _COMMITTED))
                continue
            verdict, state, checksum = loser
            try:
                row = None if state is None else decode_payment(item.key, state, checksum)
                results.append((item, lost(verdict, row)))
            except Corrupt as error:
                results.append((item, Failure(error)))
        return results

    def _lose(self, batch: Sequence[_Item], error: Superseded) -> None:
        """I13: nothing of ours may be written any more, now or later."""
        if not self.superseded:
            _log.error("node_superseded", error=str(error), invariant="I13")
        self.superseded = True
        self._tell([(item, lost("fence", None)) for item in batch])

    def _fail(self, items: Sequence[_Item], error: Exception) -> None:
        self._tell([(item, Failure(error)) for item in items])

    def _tell(self, results: Sequence[tuple[_Item, object]]) -> None:
        """Hand results over, one call for all; an item that has its result keeps it."""
        fresh: list[Fired] = []
        for item, result in results:
            if not item.told:
                item.told = True
                fresh.append((item.deferred, result))
        if fresh:
            self._call_from_thread(fire, fresh)
