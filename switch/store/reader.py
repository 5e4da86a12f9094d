"""The reader thread: everything short that decides but does not go through the group commit.

Loads, claims, number and key reservations, and the node's heartbeat, on one session of the
primary (I7: a lagging standby never decides). A task that finds its session broken is repeated
once on a new one; every task is safe to repeat.
"""

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any, TypeVar

import psycopg2
from psycopg2.extensions import connection
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from switch.observe.logs import get_logger
from switch.ports import JournalDown
from switch.store.errors import StoreError
from switch.store.node import Node, Superseded
from switch.store.settings import JournalSettings
from switch.store.threads import (
    CallFromThread,
    close_quietly,
    error_name,
    fail_stop,
    fire,
    is_broken,
)

T = TypeVar("T")
_log = get_logger("journal")

_Task = tuple[Callable[[connection], Any], Deferred[Any]]


class Reader:
    """Owns the read session and the lease. ``submit`` and ``close``: in the reactor's thread."""

    def __init__(
        self,
        connect: Callable[[], connection],
        node: Node,
        settings: JournalSettings,
        call_from_thread: CallFromThread,
        now_ms: Callable[[], int],
    ) -> None:
        self._connect = connect
        self._node = node
        self._settings = settings
        self._call_from_thread = call_from_thread
        self._now_ms = now_ms
        self._tasks: deque[_Task] = deque()
        self._ready = threading.Condition()
        self._closing = False
        self._session: connection | None = None
        self.lease_until_ms = 0
        """On the time line, counted from before the renewal was sent: never later than what the
        database thinks."""
        self.lease_term = 0
        """Raised before a renewed lease begins that does not join the one before it."""
        self._thread = threading.Thread(
            target=fail_stop(self._run), name="journal reader", daemon=True
        )

    def start(self, session: connection, lease_until_ms: int) -> None:
        """Begin with an open session and the lease that registering gave."""
        self._session = session
        self.lease_until_ms = lease_until_ms
        self._thread.start()

    def submit(self, work: Callable[[connection], T]) -> Deferred[T]:
        """Run ``work(session)`` in the thread. Raises JournalDown when too many wait; the Deferred
        fails with JournalDown when the database is away, or with a StoreError of the work."""
        deferred: Deferred[T] = Deferred()
        with self._ready:
            if self._closing:
                raise JournalDown("the journal is closed")
            if len(self._tasks) >= self._settings.read_queue_limit:
                raise JournalDown("too many reads wait for the database")
            self._tasks.append((work, deferred))
            self._ready.notify()
        return deferred

    def close(self) -> None:
        """Ask the thread to finish what waits, give the lease back and end."""
        with self._ready:
            self._closing = True
            self._ready.notify()

    def join(self, timeout_s: float) -> None:
        """Wait for the end; the session is closed then."""
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    # ---- in the thread -------------------------------------------------------------------------

    def _run(self) -> None:
        beat_at = time.monotonic() + self._settings.lease_renew_ms / 1000
        while True:
            task = self._next(beat_at)
            if task is None and self._closing:
                break
            if time.monotonic() >= beat_at:
                beat_at = time.monotonic() + self._settings.lease_renew_ms / 1000
                self._beat()
            if task is not None:
                self._do(*task)
        self._release()
        close_quietly(self._session)

    def _next(self, beat_at: float) -> _Task | None:
        """The next task; None = time for a heartbeat, or closed with nothing left."""
        with self._ready:
            while not self._tasks and not self._closing:
                left = beat_at - time.monotonic()
                if left <= 0:
                    return None
                self._ready.wait(left)
            return self._tasks.popleft() if self._tasks else None

    def _do(self, work: Callable[[connection], Any], deferred: Deferred[Any]) -> None:
        result: object
        try:
            result = self._attempt(work)
        except psycopg2.Error as error:
            result = Failure(JournalDown(f"the database cannot answer: {error_name(error)}"))
        except StoreError as error:
            result = Failure(error)
        self._call_from_thread(fire, [(deferred, result)])

    def _attempt(self, work: Callable[[connection], T]) -> T:
        """``work`` on the session, once more on a new one when it turns out broken."""
        if self._session is not None:
            try:
                return work(self._session)
            except psycopg2.Error as error:
                if not (self._session.closed or is_broken(error)):
                    raise
                close_quietly(self._session)
                self._session = None
        self._session = self._connect()
        return work(self._session)

    def _beat(self) -> None:
        """Renew the lease. While the database is away it runs out, and money writes stop (I13)."""
        asked_ms = self._now_ms()
        try:
            self._attempt(self._node.renew)
        except Superseded:
            self.lease_until_ms = 0
        except (psycopg2.Error, StoreError) as error:
            name = error_name(error) if isinstance(error, psycopg2.Error) else str(error)
            _log.warning("lease_not_renewed", error=name, invariant="I13")
        else:
            if self.lease_until_ms <= self._now_ms():
                self.lease_term += 1
            self.lease_until_ms = asked_ms + self._settings.lease_ms

    def _release(self) -> None:
        self.lease_until_ms = 0
        try:
            self._attempt(self._node.release)
        except (psycopg2.Error, StoreError):
            return  # then it runs out by itself
