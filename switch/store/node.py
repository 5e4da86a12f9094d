"""A node: one running switch process, its epoch (fence) and its lease (I13).

The writer's session holds an advisory lock on the node's name for as long as it lives: two
processes under one name cannot both run, and once a new session has the lock the old one has
ended, its last commit included (K19).

The epoch is the fence. It stays the same when a lease lapses and is renewed: every write is a
compare-and-set on (version, fence), a version is written once for ever, so a row that was lost and
claimed back can only be continued from the very state that a write was derived from.
"""

import os
import time
from pathlib import Path

import psycopg2
from psycopg2.extensions import connection

from switch.model.payment import Payment
from switch.observe.logs import get_logger
from switch.store.errors import Corrupt, StartRefused, StoreError
from switch.store.rows import decode_payment

_log = get_logger("journal")


class Superseded(StoreError):  # noqa: N818 - a state of the world, told as one
    """Another process runs under our node name: nothing here may write any more (I13)."""


_REGISTER = """
INSERT INTO node AS n (name, epoch, lease_until, predecessor_until, process)
VALUES (%(name)s, nextval('epoch'), clock_timestamp() + %(lease)s * interval '1 ms',
        clock_timestamp(), %(process)s)
ON CONFLICT (name) DO UPDATE SET
    epoch = excluded.epoch, lease_until = excluded.lease_until, process = excluded.process,
    predecessor_until = greatest(
        n.predecessor_until,
        CASE WHEN n.process = ANY(%(dead)s) THEN clock_timestamp() ELSE n.lease_until END)
RETURNING epoch
"""

_DRIVER_GONE = """CASE WHEN n.name = %(name)s THEN clock_timestamp() >= n.predecessor_until
        ELSE clock_timestamp() > n.lease_until END"""

_UNDO_OPEN = """p.rest = 'exception' AND p.state::text ~ '"state":"undo(ing|_wait)"'"""
"""I3: beside a leg that waits for a person another may still have its undo repeated."""

_CLAIMS = tuple(
    f"""
WITH due AS (
    SELECT p.key FROM payment p JOIN node n ON n.name = p.owner
    WHERE {which} AND p.fence <> %(epoch)s AND {_DRIVER_GONE}
    ORDER BY p.born_at LIMIT %(limit)s FOR NO KEY UPDATE OF p SKIP LOCKED)
UPDATE payment p SET fence = %(epoch)s, owner = %(name)s FROM due WHERE p.key = due.key
RETURNING p.key, p.state::text, p.checksum
"""  # noqa: S608 - constants
    for which in ("p.rest IS NULL", _UNDO_OPEN)
)
"""One for each partial index."""

_CLAIM_ONE = f"""
UPDATE payment p SET fence = %(epoch)s, owner = %(name)s FROM node n
WHERE p.key = %(key)s AND n.name = p.owner AND p.fence <> %(epoch)s
    AND ((p.rest IS NOT NULL AND NOT ({_UNDO_OPEN})) OR {_DRIVER_GONE})
"""  # noqa: S608 - constants


class Node:
    """This process in the database. Its methods run in the journal's threads, one at a time each:
    ``lock`` in the writer's, the others in the reader's (``register`` before both start)."""

    def __init__(self, name: str, lease_ms: int) -> None:
        self.name = name
        self.epoch = 0
        self._lease_ms = lease_ms
        self._doubtful: list[str] = []
        """Keys of a claim whose COMMIT was not answered: looked at before the next claim."""

    def lock(self, conn: connection, wait_ms: int) -> None:
        """Hold the node's name in this session; StartRefused when another one keeps it."""
        end = time.monotonic() + wait_ms / 1000
        with conn.cursor() as cursor:
            while True:
                cursor.execute(
                    "SELECT pg_try_advisory_lock(hashtextextended('yyt node ' || %s, 0))",
                    (self.name,),
                )
                if (cursor.fetchone() or (False,))[0]:
                    return
                if time.monotonic() > end:
                    raise StartRefused(
                        f"I13: another process runs as node {self.name}: stop it, or give this "
                        "one a name of its own"
                    )
                time.sleep(0.05)

    def register(self, conn: connection) -> None:
        """Take an epoch and a lease. What a process of this name drove before is ours as soon as
        it is known to be dead, else when its lease is over."""
        with conn.cursor() as cursor:
            cursor.execute("SELECT process FROM node WHERE name = %s", (self.name,))
            dead = [process for (process,) in cursor.fetchall() if _is_dead(process)]
            cursor.execute(
                _REGISTER,
                {
                    "name": self.name,
                    "lease": self._lease_ms,
                    "process": _this_process(),
                    "dead": dead,
                },
            )
            (self.epoch,) = cursor.fetchone() or (0,)

    def verify(self, conn: connection) -> None:
        """Superseded when the epoch is no longer ours."""
        with conn.cursor() as cursor:
            cursor.execute("SELECT epoch FROM node WHERE name = %s", (self.name,))
            if cursor.fetchone() != (self.epoch,):
                raise Superseded(f"I13: node {self.name} was started again elsewhere")

    def renew(self, conn: connection) -> None:
        """Extend the lease from the database's now; Superseded when it is another's."""
        self._set_lease(conn, self._lease_ms)

    def release(self, conn: connection) -> None:
        """A clean stop: others may take over at once."""
        self._set_lease(conn, 0)

    def _set_lease(self, conn: connection, lease_ms: int) -> None:
        with conn.cursor() as cursor:
            cursor.execute(
                "UPDATE node SET lease_until = clock_timestamp() + %s * interval '1 ms'"
                " WHERE name = %s AND epoch = %s",
                (lease_ms, self.name, self.epoch),
            )
            if cursor.rowcount != 1:
                raise Superseded(f"I13: node {self.name} was started again elsewhere")

    def claim(self, conn: connection, limit: int) -> list[Payment]:
        """Take over up to ``limit`` payments whose driver is gone, oldest first.

        A row that cannot be read stays claimed, is left out and alarmed: the others must not wait
        for it (I1).
        """
        rows = self._claim_rows(conn, limit)
        payments = [payment for row in rows if (payment := _readable(*row)) is not None]
        payments.sort(key=lambda payment: (payment.born_at, payment.key))
        return payments

    def claim_one(self, conn: connection, key: str) -> Payment | None:
        """``ports.Journal.claim``. A payment at rest has no driver: whoever opens its door is. A
        row that cannot be read is alarmed and left to a person, as in :meth:`claim`."""
        with conn.cursor() as cursor:
            cursor.execute(_CLAIM_ONE, {"epoch": self.epoch, "name": self.name, "key": key})
            cursor.execute(
                "SELECT state::text, checksum FROM payment WHERE key = %s AND fence = %s",
                (key, self.epoch),
            )
            row = cursor.fetchone()
        return None if row is None else _readable(key, row[0], row[1])

    def _claim_rows(self, conn: connection, limit: int) -> list[tuple[str, str, int]]:
        with conn.cursor() as cursor:
            rows = self._resolve_doubtful(conn)
            cursor.execute("BEGIN")
            try:
                claimed: list[tuple[str, str, int]] = []
                for claim in _CLAIMS:
                    left = {"epoch": self.epoch, "name": self.name, "limit": limit - len(claimed)}
                    cursor.execute(claim, left)
                    claimed += cursor.fetchall()
                self._doubtful = [key for key, _, _ in [*rows, *claimed]]
                cursor.execute("COMMIT")
            except psycopg2.Error:
                if not conn.closed:
                    cursor.execute("ROLLBACK")
                    self._doubtful = [key for key, _, _ in rows]
                raise
        self._doubtful = []
        return [*rows, *claimed]

    def _resolve_doubtful(self, conn: connection) -> list[tuple[str, str, int]]:
        """K19 for a claim: the row lock waits for the old session's end, then the fence tells."""
        if not self._doubtful:
            return []
        with conn.cursor() as cursor:
            cursor.execute(
                "SELECT key, state::text, checksum, fence FROM payment WHERE key = ANY(%s)"
                " FOR NO KEY UPDATE",
                (self._doubtful,),
            )
            found = cursor.fetchall()
        return [(key, state, crc) for key, state, crc, fence in found if fence == self.epoch]


def _readable(key: str, state: str, checksum: int) -> Payment | None:
    try:
        return decode_payment(key, state, checksum)
    except Corrupt as error:
        _log.error("row_cannot_be_read", payment=key, invariant="I1", error=str(error))
        return None


def _this_process() -> str:
    """``boot id / pid namespace / pid / start time``: never the same for two processes."""
    return f"{_machine()}/{os.getpid()}/{_start_time(os.getpid())}"


def _is_dead(process: str) -> bool:
    """Known to be dead: it ran on this boot of this machine (and pid namespace), and is gone."""
    machine, _, rest = process.rpartition("/")[0].rpartition("/")
    started = process.rpartition("/")[2]
    if machine != _machine() or not rest.isdecimal():
        return False
    return _start_time(int(rest)) != started


def _machine() -> str:
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return f"{boot}/{os.readlink('/proc/self/ns/pid')}"


def _start_time(pid: int) -> str:
    """Field 22 of ``/proc/PID/stat``; empty when there is no such process (or only its zombie)."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return ""
    fields = stat.rpartition(")")[2].split()
    return "" if fields[0] in "ZX" else fields[19]
