"""Schema changes: numbered SQL files, applied once each, forward only (K18)."""

import re
from importlib import resources

from psycopg2.extensions import connection

from switch.store.errors import StartRefused

_NAME = re.compile(r"([0-9]{4})_[a-z0-9_]+\.sql")
_LOCK = (7921404, 0)
"""Advisory lock: two nodes that start together do not migrate together."""


def migrations() -> list[tuple[int, str, str]]:
    """(number, file name, SQL) of every migration this code knows, in order, 1 … n without gap."""
    folder = resources.files("switch.store.migrations")
    found = []
    for entry in folder.iterdir():
        match = _NAME.fullmatch(entry.name)
        if match is not None:
            found.append((int(match[1]), entry.name, entry.read_text(encoding="utf-8")))
    found.sort()
    if [number for number, _, _ in found] != list(range(1, len(found) + 1)):
        raise StartRefused("migrations of this installation have gaps: install it again")
    return found


def schema_version(conn: connection) -> int:
    """The newest migration applied to the database; 0 = none. ``conn`` in autocommit mode."""
    with conn.cursor() as cursor:
        cursor.execute("SELECT to_regclass('schema_version') IS NOT NULL")
        (exists,) = cursor.fetchone() or (False,)
        if not exists:
            return 0
        cursor.execute("SELECT coalesce(max(number), 0) FROM schema_version")
        row = cursor.fetchone()
    return int(row[0]) if row else 0


def migrate(conn: connection) -> list[str]:
    """Bring the schema up to this code; return the names of the files applied.

    ``conn`` is in autocommit mode and free. Raises StartRefused when the database is newer than
    this code: old code must not write what it does not understand.
    """
    known = migrations()
    applied = []
    if _current(conn, known):
        return []
    with conn.cursor() as cursor:
        cursor.execute("SET statement_timeout = 0")  # a change of a large table takes its time
        cursor.execute("SELECT pg_advisory_lock(%s, %s)", _LOCK)
        try:
            cursor.execute(
                "CREATE TABLE IF NOT EXISTS schema_version (number integer PRIMARY KEY,"
                " name text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())"
            )
            done = schema_version(conn)
            for number, name, sql in known[done:]:
                cursor.execute("BEGIN")
                try:
                    cursor.execute(sql)
                    cursor.execute(
                        "INSERT INTO schema_version (number, name) VALUES (%s, %s)", (number, name)
                    )
                    cursor.execute("COMMIT")
                except BaseException:
                    if not conn.closed:
                        cursor.execute("ROLLBACK")
                    raise
                applied.append(name)
        finally:
            if not conn.closed:
                cursor.execute("SELECT pg_advisory_unlock(%s, %s)", _LOCK)
                cursor.execute("RESET statement_timeout")
    return applied


def _current(conn: connection, known: list[tuple[int, str, str]]) -> bool:
    done = schema_version(conn)
    if done > len(known):
        raise StartRefused(
            f"the journal's schema is version {done}, this program knows only {len(known)}: "
            "start the newer program (schema changes are never taken back)"
        )
    return done == len(known)
