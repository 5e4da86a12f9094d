"""A database session fit for money: opened, checked for durability, set up alike every time."""

import psycopg2
from psycopg2.extensions import connection

from switch.store.errors import StartRefused
from switch.store.settings import JournalSettings, host_count

SERVER_VERSION_MIN = 150000
_DURABLE = {
    "fsync": ("on",),
    "full_page_writes": ("on",),
    "synchronous_commit": ("on", "remote_apply"),
}
"""I4. ``remote_write`` and ``local`` are not enough: a commit must be on disk, here and there."""


def open_session(dsn: str, settings: JournalSettings, role: str) -> connection:
    """A session in autocommit mode on the primary, verified by :func:`check_durable`.

    ``role`` names it in ``pg_stat_activity``. Dead peers are noticed by TCP keepalive. Raises
    psycopg2.Error when the database is away, StartRefused when it must not be used.
    """
    connect_s = max(1, settings.connect_timeout_ms // 1000)
    conn: connection = psycopg2.connect(
        dsn,
        connect_timeout=connect_s,
        application_name=f"yyt {role}",
        client_encoding="UTF8",
        keepalives=1,
        keepalives_idle=max(1, connect_s),
        keepalives_interval=1,
        keepalives_count=3,
        tcp_user_timeout=max(settings.connect_timeout_ms, settings.statement_timeout_ms) * 2,
        options=f"-c statement_timeout={settings.statement_timeout_ms} -c timezone=UTC"
        " -c idle_in_transaction_session_timeout=60000",
    )
    try:
        conn.autocommit = True
        check_durable(conn, host_count(dsn), settings.waiver)
    except BaseException:
        conn.close()
        raise
    return conn


def check_durable(conn: connection, hosts: int, waiver: str) -> None:
    """Refuse a database that can lose a commit it has confirmed (I4, rule 14).

    Checked on every connection: a fail-over or a reload may bring other settings.
    """
    if conn.server_version < SERVER_VERSION_MIN:
        raise StartRefused(
            f"PostgreSQL 15 or newer is needed, this is {conn.server_version // 10000}"
        )
    shown = {name: _show(conn, name) for name in _DURABLE}
    for name, accepted in _DURABLE.items():
        if shown[name] not in accepted:
            raise StartRefused(
                f"I4: {name} is {shown[name]}; the journal of money needs {' or '.join(accepted)}. "
                "Nothing was started"
            )
    if _show(conn, "transaction_read_only") == "on":
        raise StartRefused(
            "this server is read-only (a standby?): decisions need the primary; put "
            "target_session_attrs=read-write into the DSN"
        )
    if hosts > 1 and not waiver and not _show(conn, "synchronous_standby_names"):
        raise StartRefused(
            "I4: the DSN names several hosts, but synchronous_standby_names is empty: a fail-over "
            "would lose confirmed payments. Turn on synchronous replication (strict), or write "
            "the decision to live with it into journal.waiver"
        )


def _show(conn: connection, name: str) -> str:
    with conn.cursor() as cursor:
        cursor.execute("SELECT current_setting(%s)", (name,))
        row = cursor.fetchone()
    return str(row[0]) if row else ""
