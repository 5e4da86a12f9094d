"""The key store as nodes read it: one snapshot whenever its number has grown."""

from psycopg2.extensions import connection, cursor

from switch.model.key_snapshot import Snapshot, Validity
from switch.store.reader import Reader

_ACTIVE = """
SELECT name, held, coalesce(extract(epoch FROM not_before) * 1000, 0)::bigint,
    coalesce(extract(epoch FROM not_after) * 1000, 0)::bigint
FROM stored_key WHERE state = 'active'
"""
_SUCCESSORS = """
SELECT s.old_text, s.new_text FROM key_successor s JOIN lmk_rotation r ON r.id = s.rotation
WHERE r.flipped_at IS NOT NULL ORDER BY r.id DESC
"""


class PostgresKeySource:
    """Reads for one node, and notes which number it has taken."""

    def __init__(self, reader: Reader, node_name: str) -> None:
        self._reader = reader
        self._node_name = node_name

    async def newer_than(self, version: int) -> Snapshot | None:
        """None when nothing changed. JournalDown when the database is away.

        A node asks with the number that its ring has, so asking is also telling.
        """

        def work(conn: connection) -> Snapshot | None:
            return read_snapshot(conn, version, self._node_name)

        return await self._reader.submit(work)


def read_snapshot(conn: connection, version: int, node_name: str) -> Snapshot | None:
    """The snapshot if it is newer than ``version``, else None and a note of what the node has."""
    with conn.cursor() as cur:
        cur.execute("SELECT version FROM key_ring")
        (newest,) = cur.fetchone() or (0,)
        if newest == version:
            cur.execute(
                "INSERT INTO key_ring_node AS n (node, version) VALUES (%s, %s)"
                " ON CONFLICT (node) DO UPDATE SET version = excluded.version,"
                " taken_at = clock_timestamp() WHERE n.version <> excluded.version",
                (node_name, version),
            )
            return None
    return load_snapshot(conn)


def load_snapshot(conn: connection) -> Snapshot:
    """The key store as of now."""
    with conn.cursor() as cur:
        cur.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        try:
            return _snapshot(cur)
        finally:
            if not conn.closed:
                cur.execute("ROLLBACK")


def _snapshot(cur: cursor) -> Snapshot:
    cur.execute("SELECT version FROM key_ring")
    (version,) = cur.fetchone() or (0,)
    cur.execute(_ACTIVE)
    rows = cur.fetchall()
    cur.execute(_SUCCESSORS)
    successors: dict[str, str] = {}
    for old, new in cur.fetchall():
        # Newest rotation first: what an older one made may have been moved on since.
        successors[old] = successors.get(new, new)
    return Snapshot(
        version=version,
        names={name: held for name, held, _, _ in rows},
        validity={name: Validity(a, b) for name, _, a, b in rows if a or b},
        successors=successors,
    )
