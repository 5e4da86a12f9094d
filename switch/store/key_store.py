"""Keys under the LMK, with owner, validity and state (rules 15 and 16 of docs/payment-law.md).

Functions over a session in autocommit mode. Each change is one db transaction with its line in
``stored_key_event``; the row itself carries no history.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from typing import NamedTuple

import psycopg2
from msgspec import Struct
from msgspec.structs import replace
from psycopg2.extensions import connection, cursor

from switch.store.errors import StoreError


class KeyRefused(StoreError):  # noqa: N818 - a decision, told as one
    """The key store must not do this: a sentence for the officer says why."""


class State(StrEnum):
    """Where a version of a key stands."""

    PENDING = "pending"
    """Held, not used: it waits for ``rotate --pending``."""
    ACTIVE = "active"
    RETIRED = "retired"
    DESTROYED = "destroyed"
    """A tombstone: the cryptogram is gone."""


NO_SCHEMA = psycopg2.errors.UndefinedTable
AWAY = psycopg2.OperationalError
"""For those who may not know the driver: the tables are missing; the database is away."""

ONE_PER_TERMINAL = ("TMK", "TPK")
"""Usages of which no two terminals hold the same key (一机一密)."""


class Owner(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Whose key it is; empty parts do not matter to it."""

    hospital: str = ""
    bank: str = ""
    merchant_role: str = ""
    """``outpatient`` or ``inpatient`` clearing (双密钥双商户号)."""
    merchant: str = ""
    terminal: str = ""


class StoredKey(Struct, frozen=True, kw_only=True):
    """One version of one name. Times are ISO 8601 or empty."""

    name: str
    version: int
    usage: str
    key_type: str
    scheme: str
    lmk_id: str
    held: str
    """The cryptogram and its LMK (switch.model.held_key); empty when destroyed."""
    check_value: str
    state: State
    owner: Owner = Owner()
    not_before: str = ""
    not_after: str = ""
    created_at: str = ""
    changed_at: str = ""
    changed_by: str = ""


class Version(NamedTuple):
    """What names one version in its history."""

    name: str
    version: int
    check_value: str


class KeyEvent(Struct, frozen=True, kw_only=True):
    """One line of a key's history."""

    at: str
    by_whom: str
    what: str
    version: int
    check_value: str
    detail: str


_OWNER = tuple(Owner.__struct_fields__)
_COLUMNS = ("name", "version", "usage", "key_type", "scheme", "lmk_id", "held", "check_value",
            "state")  # fmt: skip
_TIMES = ("not_before", "not_after", "created_at", "changed_at")
_SELECT = (
    f"SELECT {', '.join(_COLUMNS)}, {', '.join(_OWNER)}, "  # noqa: S608 - constants
    + ", ".join(
        f"coalesce(to_char({time} AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'), '')"
        for time in _TIMES
    )
    + ", changed_by FROM stored_key"
)
_ORDER = " ORDER BY name, version"


KeyConnection = connection
"""A session of :func:`connect_keys`, for those who may not know the database's driver."""


def connect_keys(dsn: str) -> connection:
    """A session in autocommit mode. psycopg2.OperationalError when the database is away."""
    conn: connection = psycopg2.connect(
        dsn, application_name="yyt key", connect_timeout=10, client_encoding="UTF8",
        options="-c timezone=UTC -c statement_timeout=30000 -c lock_timeout=5000",
    )  # fmt: skip
    conn.autocommit = True
    return conn


@contextmanager
def db_transaction(conn: connection) -> Iterator[cursor]:
    """A cursor inside BEGIN … COMMIT; any exception rolls back."""
    with conn.cursor() as cur:
        cur.execute("BEGIN")
        try:
            yield cur
            cur.execute("COMMIT")
        except BaseException:
            if not conn.closed:
                cur.execute("ROLLBACK")
            raise


def keys(conn: connection, *, destroyed: bool = False) -> list[StoredKey]:
    """All versions of all names, tombstones only when asked for."""
    where = "" if destroyed else " WHERE state <> 'destroyed'"
    return _rows(conn, _SELECT + where + _ORDER, ())


def versions(conn: connection, name: str) -> list[StoredKey]:
    """All versions of a name, oldest first; empty: there is no such name."""
    return _rows(conn, _SELECT + " WHERE name = %s" + _ORDER, (name,))


def active(conn: connection, name: str) -> StoredKey:
    """The version in use. KeyRefused when there is none."""
    found = _rows(conn, _SELECT + " WHERE name = %s AND state = 'active'", (name,))
    if not found:
        raise KeyRefused(f"the key store holds no active key {name!r}")
    return found[0]


class WorkingKey(NamedTuple):
    """A working key of a logical terminal, with the check value that came with it."""

    place: str
    key_type: str
    held: str
    check_value: str


def working_keys(conn: connection) -> list[WorkingKey]:
    """Of all logical terminals that have signed on."""
    with conn.cursor() as cur:
        cur.execute(
            "SELECT 'PIK ' || bank || ' ' || merchant || ' ' || terminal AS place, pik_type, pik,"
            " pik_kcv FROM logical_terminal WHERE pik <> '' UNION ALL"
            " SELECT 'MAK ' || bank || ' ' || merchant || ' ' || terminal, '003', mak, mak_kcv"
            " FROM logical_terminal WHERE mak <> '' ORDER BY place"
        )
        return [WorkingKey(*row) for row in cur.fetchall()]


def events(conn: connection, name: str) -> list[KeyEvent]:
    """A name's history, oldest first."""
    with conn.cursor() as cur:
        cur.execute(
            "SELECT to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'), by_whom,"
            " what, version, check_value, detail FROM stored_key_event WHERE name = %s ORDER BY id",
            (name,),
        )
        return [
            KeyEvent(**dict(zip(KeyEvent.__struct_fields__, row, strict=True)))
            for row in cur.fetchall()
        ]


def add(conn: connection, key: StoredKey, detail: str) -> StoredKey:
    """Keep a first version. KeyRefused: the name is taken, or its key is another terminal's."""
    with db_transaction(conn) as cur:
        if _newest(cur, key.name):
            raise KeyRefused(f"the name {key.name!r} is taken: use rotate for its next version")
        return _insert(cur, key, "add", detail)


def add_version(conn: connection, key: StoredKey, detail: str) -> StoredKey:
    """Keep the next version of a name; an active one retires the one before it."""
    with db_transaction(conn) as cur:
        newest = _newest(cur, key.name)
        if not newest:
            raise KeyRefused(f"the key store holds no key {key.name!r}")
        if key.state is State.ACTIVE:
            _retire_active(cur, key.name, key.changed_by)
        return _insert(cur, replace(key, version=newest + 1), "rotate", detail)


def activate_pending(conn: connection, name: str, by_whom: str) -> StoredKey:
    """Use the version that waits; the one before it retires. KeyRefused: none waits."""
    with db_transaction(conn) as cur:
        _newest(cur, name)
        _retire_active(cur, name, by_whom)
        found = _move(cur, name, _ACTIVATE, by_whom)
    if not found:
        raise KeyRefused(f"no version of {name!r} is pending")
    return active(conn, name)


def retire(conn: connection, name: str, by_whom: str) -> None:
    """Take the active version out of use. KeyRefused: there is none."""
    with db_transaction(conn) as cur:
        if not _retire_active(cur, name, by_whom):
            raise KeyRefused(f"the key store holds no active key {name!r}")


def destroy(conn: connection, name: str, version: int, by_whom: str) -> None:
    """Wipe the cryptogram of a retired or pending version and of all its forms under other LMKs;
    a tombstone stays. KeyRefused: it is active, or is not there."""
    with db_transaction(conn) as cur:
        cur.execute(
            "SELECT state, held, check_value FROM stored_key WHERE name = %s AND version = %s"
            " FOR UPDATE",
            (name, version),
        )
        row = cur.fetchone()
        if row is None or row[0] == State.DESTROYED:
            raise KeyRefused(f"{name!r} has no version {version} that could be destroyed")
        if row[0] == State.ACTIVE:
            raise KeyRefused(f"version {version} of {name!r} is active: retire it first")
        cur.execute(
            "WITH RECURSIVE form(text) AS (SELECT %s UNION"
            " SELECT s.old_text FROM key_successor s JOIN form ON s.new_text = form.text)"
            " DELETE FROM key_successor s USING form WHERE s.new_text = form.text",
            (row[1],),
        )
        cur.execute(
            "UPDATE stored_key SET state = 'destroyed', held = '', changed_by = %s,"
            " changed_at = clock_timestamp() WHERE name = %s AND version = %s",
            (by_whom, name, version),
        )
        record(cur, by_whom, "destroy", Version(name, version, row[2]))


def exported(conn: connection, key: StoredKey, detail: str, by_whom: str) -> None:
    """Note that a key went out."""
    with db_transaction(conn) as cur:
        record(cur, by_whom, "export", Version(key.name, key.version, key.check_value), detail)


def record(cur: cursor, by_whom: str, what: str, key: Version, detail: str = "") -> None:
    """One line of history."""
    cur.execute(
        "INSERT INTO stored_key_event (by_whom, what, detail, name, version, check_value)"
        " VALUES (%s, %s, %s, %s, %s, %s)",
        (by_whom, what, detail, *key),
    )


def _rows(conn: connection, sql: str, values: Sequence[object]) -> list[StoredKey]:
    with conn.cursor() as cur:
        cur.execute(sql, values)
        return [_stored(row) for row in cur.fetchall()]


def _stored(row: Sequence[object]) -> StoredKey:
    first, middle = len(_COLUMNS), len(_COLUMNS) + len(_OWNER)
    values = dict(zip(_COLUMNS, row[:first], strict=True))
    owner = Owner(**dict(zip(_OWNER, row[first:middle], strict=True)))  # type: ignore[arg-type]
    times = dict(zip((*_TIMES, "changed_by"), row[middle:], strict=True))
    values["state"] = State(str(values["state"]))
    return StoredKey(owner=owner, **values, **times)  # type: ignore[arg-type]


def _newest(cur: cursor, name: str) -> int:
    """The newest version, 0 without one; the name is locked until the commit."""
    cur.execute("SELECT pg_advisory_xact_lock(hashtextextended('yyt key ' || %s, 0))", (name,))
    cur.execute("SELECT coalesce(max(version), 0) FROM stored_key WHERE name = %s", (name,))
    (newest,) = cur.fetchone() or (0,)
    return int(newest)


def _insert(cur: cursor, key: StoredKey, what: str, detail: str) -> StoredKey:
    columns = (*_COLUMNS, *_OWNER, "not_before", "not_after", "changed_by")
    values = [getattr(key, name) for name in _COLUMNS]
    values += [getattr(key.owner, name) for name in _OWNER]
    values += [key.not_before or None, key.not_after or None, key.changed_by]
    places = ", ".join(["%s"] * len(columns))
    try:
        cur.execute(
            f"INSERT INTO stored_key ({', '.join(columns)}) VALUES ({places})",  # noqa: S608 - constants
            [str(value) if isinstance(value, State) else value for value in values],
        )
    except psycopg2.errors.UniqueViolation as error:
        raise KeyRefused(_why(error.diag.constraint_name or "", key)) from None
    record(cur, key.changed_by, what, Version(key.name, key.version, key.check_value), detail)
    return key


def _why(constraint: str, key: StoredKey) -> str:
    if constraint == "stored_key_one_terminal":
        return (
            f"一机一密: a {'/'.join(ONE_PER_TERMINAL)} with check value {key.check_value} is held "
            "already; each terminal needs a key of its own, and an old one never comes back"
        )
    if constraint == "stored_key_pending":
        return f"a version of {key.name!r} is pending already"
    return f"the name {key.name!r} is taken"


def _retire_active(cur: cursor, name: str, by_whom: str) -> bool:
    return _move(cur, name, _RETIRE, by_whom)


class _Step(NamedTuple):
    old: State
    new: State
    what: str


_RETIRE = _Step(State.ACTIVE, State.RETIRED, "retire")
_ACTIVATE = _Step(State.PENDING, State.ACTIVE, "activate")


def _move(cur: cursor, name: str, step: _Step, by_whom: str) -> bool:
    cur.execute(
        "UPDATE stored_key SET state = %s, changed_by = %s, changed_at = clock_timestamp()"
        " WHERE name = %s AND state = %s RETURNING version, check_value",
        (str(step.new), by_whom, name, str(step.old)),
    )
    row = cur.fetchone()
    if row is not None:
        record(cur, by_whom, step.what, Version(name, *row))
    return row is not None
