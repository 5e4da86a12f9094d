"""What benchmarks ask of the database: how much was committed, and tables for pgbench."""

import time

import psycopg2

_POLL_S = 0.2

_TABLES = """
DROP TABLE IF EXISTS bench_payment, bench_event;
CREATE TABLE bench_payment (key bigint PRIMARY KEY, version integer NOT NULL, state json NOT NULL)
    WITH (fillfactor = 60);
CREATE TABLE bench_event (key bigint, version integer, event json, PRIMARY KEY (key, version));
"""


def commit_counts(dsn: str) -> tuple[int, int]:
    """(state commits of payments so far, db_transactions of the server so far)."""
    connection = psycopg2.connect(dsn)
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM payment_event")
            (states,) = cursor.fetchone() or (0,)
            cursor.execute(
                "SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()"
            )
            (physical,) = cursor.fetchone() or (0,)
            return int(states), int(physical)
    finally:
        connection.close()


def unfinished_payments(dsn: str, patience_s: float) -> tuple[int, int]:
    """(payments that are not at rest after ``patience_s``, 分 of those that are done)."""
    connection = psycopg2.connect(dsn)
    connection.autocommit = True
    end = time.monotonic() + patience_s
    try:
        with connection.cursor() as cursor:
            while True:
                cursor.execute(
                    "SELECT count(*) FILTER (WHERE rest IS NULL OR rest = 'exception'),"
                    " coalesce(sum(amount_fen) FILTER (WHERE rest = 'done'), 0) FROM payment"
                )
                (unfinished, done_fen) = cursor.fetchone() or (0, 0)
                if not unfinished or time.monotonic() > end:
                    return int(unfinished), int(done_fen)
                time.sleep(_POLL_S)
    finally:
        connection.close()


def make_bench_tables(dsn: str) -> None:
    """Empty ``bench_payment`` and ``bench_event``."""
    connection = psycopg2.connect(dsn)
    with connection, connection.cursor() as cursor:
        cursor.execute(_TABLES)
    connection.close()
