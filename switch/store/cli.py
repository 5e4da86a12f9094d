"""``yyt payment`` (list, show, path) and ``yyt journal`` (serve, dsn, migrate, check, restored)."""

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import psycopg2
from psycopg2.extensions import connection

from switch.store import history, serve, tables
from switch.store.embedded import embedded_dsn
from switch.store.errors import NoJournal, StartRefused, StoreError
from switch.store.migrate import migrate, migrations, schema_version
from switch.store.session import check_durable
from switch.store.settings import host_count, masked_dsn, resolve_dsn
from switch.store.tables import text

JUMP_DEFAULT = 10_000
"""More STANs than one logical terminal uses between two backups, by far."""


def register_payment(parser: argparse.ArgumentParser) -> None:
    """``yyt payment``: who, what, each leg, each exchange with its times."""
    parser.description = text("payment")
    parser.epilog = f"{text('example')}: yyt payment list --json"
    verbs = parser.add_subparsers(required=True, metavar="VERB")
    listing = verb(verbs, "list", "yyt payment list --state exception --json", _list)
    listing.add_argument("--state", choices=history.STATES, default="", help=text("state"))
    listing.add_argument("--hospital", default="", help=text("hospital"))
    listing.add_argument("--limit", type=int, default=50, help=text("limit"))
    for name, run in (("show", _show), ("path", _path)):
        one = verb(verbs, name, f"yyt payment {name} K1-20260101-0001", run)
        one.add_argument("key", metavar="KEY", help=text("key"))


def register_journal(parser: argparse.ArgumentParser) -> None:
    """``yyt journal``: run the embedded PostgreSQL, and look after any journal."""
    parser.description = text("journal")
    parser.epilog = f"{text('example')}: yyt journal dsn --data var/postgres"
    verbs = parser.add_subparsers(required=True, metavar="VERB")
    example = f"{text('example')}: yyt journal serve --data var/postgres"
    server = verbs.add_parser(
        "serve", help=text("serve"), description=text("serve"), epilog=example
    )
    serve.add_arguments(server)
    server.set_defaults(run=serve.serve)
    verb(verbs, "dsn", "yyt journal dsn --data var/postgres", _dsn)
    verb(verbs, "migrate", "yyt journal migrate --dsn file:/etc/yinyitong/dsn", _migrate)
    checking = verb(verbs, "check", "yyt journal check --data var/postgres", _check)
    checking.add_argument("--waiver", default="", help=text("waiver"))
    restored = verb(verbs, "restored", "yyt journal restored --jump 10000", _restored)
    restored.add_argument("--jump", type=int, default=JUMP_DEFAULT, help=text("jump"))


def verb(
    verbs: Any,
    name: str,
    example: str,
    run: Callable[[argparse.Namespace], int],
    text: Callable[[str], str] = text,
) -> argparse.ArgumentParser:
    """A verb that works on a journal: where it is, and ``--json``."""
    parser: argparse.ArgumentParser = verbs.add_parser(
        name, help=text(name), description=text(name), epilog=f"{text('example')}: {example}"
    )
    place = parser.add_mutually_exclusive_group()
    place.add_argument("--dsn", default="", help=text("dsn_option"))
    place.add_argument("--data", type=Path, help=text("data"))
    place.add_argument("--var", type=Path, default=Path("var"), help=text("var"))
    parser.add_argument("--json", action="store_true", help=text("json"))
    parser.set_defaults(run=lambda args: _guarded(run, args))
    return parser


def _guarded(run: Callable[[argparse.Namespace], int], args: argparse.Namespace) -> int:
    """Errors that an operator can do something about become one sentence and exit code 1."""
    try:
        return run(args)
    except NoJournal as error:
        return _sorry(text("no_journal").format(error.data))
    except StoreError as error:
        return _sorry(str(error))
    except psycopg2.errors.UndefinedTable:
        return _sorry(text("no_schema"))
    except psycopg2.OperationalError as error:
        return _sorry(f"{text('away')}: {str(error).strip()}")


def _sorry(sentence: str) -> int:
    print(f"yyt: {sentence}", file=sys.stderr)
    return 1


def say(line: str) -> None:
    """A line of the command's answer."""
    print(line)


def where(args: argparse.Namespace) -> str:
    """``--dsn``, ``--data``, the environment's YYT_DSN, else what runs below ``--var``: the demo
    if it does, or a journal of its own."""
    if args.dsn:
        return resolve_dsn(args.dsn)
    if args.data is None and "YYT_DSN" in os.environ:
        return os.environ["YYT_DSN"]
    demo = args.var / "demo" / "postgres"
    data = demo if (demo / "server.json").exists() else args.var / "postgres"
    return embedded_dsn(args.data or data)


def _json(value: object) -> None:
    say(msgspec.json.encode(value).decode())


# ---- yyt payment -------------------------------------------------------------------------------


def _list(args: argparse.Namespace) -> int:
    if args.limit < 1:
        return _bad(text("bad_limit"))
    conn = history.connect(where(args))
    try:
        lines = history.lines(conn, args.state, args.hospital, args.limit)
    finally:
        conn.close()
    if args.json:
        _json(lines)
    else:
        say(tables.payment_list(lines))
    return 0


def _bad(sentence: str) -> int:
    _sorry(sentence)
    return 2


def _show(args: argparse.Namespace) -> int:
    return _one(args, history.load, history.shown, tables.payment_card)


def _path(args: argparse.Namespace) -> int:
    return _one(args, history.path, lambda path: path, tables.payment_path)


def _one(
    args: argparse.Namespace,
    read: Callable[[connection, str], Any],
    plain: Callable[[Any], object],
    table: Callable[[Any], str],
) -> int:
    conn = history.connect(where(args))
    try:
        found = read(conn, args.key)
    finally:
        conn.close()
    if found is None:
        return _sorry(f"{text('no_such_payment')}: {args.key}")
    if args.json:
        _json(plain(found))
    else:
        say(table(found))
    return 0


# ---- yyt journal -------------------------------------------------------------------------------


def _dsn(args: argparse.Namespace) -> int:
    dsn = masked_dsn(where(args))
    _json({"dsn": dsn}) if args.json else say(dsn)
    return 0


def _migrate(args: argparse.Namespace) -> int:
    conn = _writable(args)
    try:
        applied = migrate(conn)
        version = schema_version(conn)
    finally:
        conn.close()
    if args.json:
        _json({"applied": applied, "version": version})
    else:
        say("\n".join([*applied, f"{text('schema')}: {version}"]))
    return 0


def _check(args: argparse.Namespace) -> int:
    """Is it durable, is its schema ours, which nodes drive?"""
    dsn = where(args)
    conn = _writable(args)
    try:
        try:
            check_durable(conn, host_count(dsn), args.waiver)
            problem = ""
        except StartRefused as refusal:
            problem = str(refusal)
        version, newest = schema_version(conn), len(migrations())
        if not problem and version != newest:
            problem = f"{text('schema')}: {version} ≠ {newest}"
        nodes = _nodes(conn) if version else []
    finally:
        conn.close()
    report = {"dsn": masked_dsn(dsn), "schema": version, "problem": problem, "nodes": nodes}
    if args.json:
        _json(report)
    else:
        say(tables.journal_report(report))
    return 1 if problem else 0


def _restored(args: argparse.Namespace) -> int:
    """Rule 14: numbers given after the backup was made must not come again."""
    if not 1 <= args.jump < 999_999:
        return _bad(text("bad_jump"))
    conn = _writable(args)
    try:
        with conn.cursor() as cursor:
            cursor.execute("SELECT jump_stans(%s)", (args.jump,))
            (jumped,) = cursor.fetchone() or (0,)
    finally:
        conn.close()
    _json({"terminals": jumped}) if args.json else say(f"{text('jumped')}: {jumped}")
    return 0


def _writable(args: argparse.Namespace) -> connection:
    conn: connection = psycopg2.connect(
        where(args), application_name="yyt journal", connect_timeout=10
    )
    conn.autocommit = True
    return conn


def _nodes(conn: connection) -> list[dict[str, object]]:
    with conn.cursor() as cursor:
        cursor.execute(
            "SELECT n.name, n.epoch, n.lease_until > clock_timestamp(),"
            " (SELECT count(*) FROM payment p WHERE p.owner = n.name AND p.rest IS NULL)"
            " FROM node n ORDER BY n.name"
        )
        names = ("name", "epoch", "alive", "open")
        return [dict(zip(names, row, strict=True)) for row in cursor]
