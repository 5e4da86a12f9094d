"""``yyt hsm audit``: verify, show, export, new-key."""

import argparse
import json
import sys
from collections import deque
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hsm.audit import files
from hsm.audit.chain import AuditKey, Link, Verified, parse, parse_link, start_of
from hsm.audit.key_file import AuditKeyError, load_key, make_key
from hsm.texts import say

SHOWN_MAX = 100_000

_EPILOG = """examples:
  yyt hsm audit verify --log /var/lib/yyt/hsm/audit --key /etc/yyt/hsm-audit.key
  yyt hsm audit show --log /var/lib/yyt/hsm/audit --what key --last 50
  yyt hsm audit export --log /var/lib/yyt/hsm/audit --key /etc/yyt/hsm-audit.key \\
      --since 2026-11-01 --until 2026-12-01 > november.jsonl
exit codes: 0 sound, 1 broken (the line and the reason are named), 2 wrong usage"""


def register(verbs: Any) -> None:
    """Add the verb ``audit`` to the verbs of ``yyt hsm``."""
    audit = verbs.add_parser(
        "audit",
        help="审计日志 the audit log",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    actions = audit.add_subparsers(metavar="ACTION", required=True)

    verify = actions.add_parser("verify", help="验证 find edits, deletions, reordering, truncation")
    _add_log(verify)
    _add_proof(verify)
    verify.add_argument("--json", action="store_true")
    verify.set_defaults(run=_verify)

    show = actions.add_parser("show", help="查看 print records, unverified")
    _add_log(show)
    show.add_argument("--what", default="", help="events that begin so: key, log, verification …")
    show.add_argument("--who", default="", help="a client or an officer")
    show.add_argument("--last", type=_count, default=20, metavar="N", help="the newest N; 20")
    show.add_argument("--json", action="store_true")
    show.set_defaults(run=_show)

    export = actions.add_parser("export", help="导出 verify, then print records as JSON lines")
    _add_log(export)
    _add_proof(export)
    export.add_argument("--since", type=_day, metavar="DATE", help="from this UTC day on")
    export.add_argument("--until", type=_day, metavar="DATE", help="before this UTC day")
    export.add_argument("--json", action="store_true", help="(it is always JSON)")
    export.set_defaults(run=_export)

    new_key = actions.add_parser("new-key", help="生成审计密钥 make an audit key")
    new_key.add_argument("--key", type=Path, required=True, metavar="FILE")
    new_key.set_defaults(run=_new_key)


def _add_log(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--log", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--archive", type=Path, metavar="FOLDER", help="where older files went")


def _add_proof(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--key", type=Path, required=True, metavar="FILE")
    parser.add_argument(
        "--known",
        type=_link,
        action="append",
        default=[],
        metavar="SEQ:MAC",
        help="a head noted elsewhere, which must be in the chain or right before it",
    )


def _count(text: str) -> int:
    if text.isascii() and text.isdigit() and 0 < int(text) <= SHOWN_MAX:
        return int(text)
    raise argparse.ArgumentTypeError(f"1 … {SHOWN_MAX}")


def _day(text: str) -> int:
    try:
        day = datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        raise argparse.ArgumentTypeError("YYYY-MM-DD") from None
    return int(day.timestamp()) * 1000


def _link(text: str) -> Link:
    try:
        return parse_link(text)
    except ValueError:
        raise argparse.ArgumentTypeError("SEQ:MAC, as verify prints it") from None


def _verify(args: argparse.Namespace) -> int:
    found = _verified(args, _key(args))
    if args.json:
        print(json.dumps(_as_json(args, found)))
    elif found.flaw is None:
        print(say("audit_sound", found))
        if found.torn is not None:
            print(say("audit_torn", found.torn.length))
    return _told(found)


def _as_json(args: argparse.Namespace, found: Verified) -> dict[str, Any]:
    starts = {
        path.name: str(start)
        for path in files.all_files(args.log, args.archive)
        if (start := start_of(files.lines(path))) is not None
    }
    return {
        "sound": found.flaw is None,
        "records": found.records,
        "recoveries": found.recoveries,
        "unfinished_bytes": found.torn.length if found.torn else 0,
        "head": str(found.last),
        "files_begin_after": starts,
        "flaw": found.flaw._asdict() if found.flaw else None,
    }


def _show(args: argparse.Namespace) -> int:
    _need_folders(args)
    chosen = (
        record
        for record in map(parse, _lines(args))
        if record is not None
        and record["what"].startswith(args.what)
        and (not args.who or args.who in record["who"])
    )
    for record in deque(chosen, maxlen=args.last):
        print(json.dumps(record, ensure_ascii=False) if args.json else _sentence(record))
    return 0


def _sentence(record: dict[str, Any]) -> str:
    """One line for people; what is not printable (the file may have been changed) is escaped."""
    who = "+".join(map(str, record["who"]))
    when = datetime.fromtimestamp(record["time_ms"] // 1000, UTC)
    details = " ".join(f"{name}={value}" for name, value in record["details"].items())
    what = f"{record['what']} {record['result']}"
    line = f"{record['seq']:>8} {when:%Y-%m-%d %H:%M:%S} {who} {what} {details}"
    return "".join(sign if sign.isprintable() else "?" for sign in line)


def _export(args: argparse.Namespace) -> int:
    """Reads twice: nothing is printed of a log that is broken."""
    found = _verified(args, _key(args))
    if found.flaw is None:
        for line in _lines(args):
            record = parse(line)
            if record is None or record["seq"] > found.last.seq:
                continue
            since, until = args.since or 0, args.until or record["time_ms"] + 1
            if since <= record["time_ms"] < until:
                sys.stdout.write(line.decode())
    return _told(found)


def _new_key(args: argparse.Namespace) -> int:
    try:
        print(say("audit_key_made", make_key(args.key)))
    except AuditKeyError as error:
        print(say(error.reason, error.path), file=sys.stderr)
        return 1
    return 0


def _key(args: argparse.Namespace) -> AuditKey:
    try:
        return load_key(args.key)
    except AuditKeyError as error:
        print(say(error.reason, error.path), file=sys.stderr)
        raise SystemExit(2) from None


def _need_folders(args: argparse.Namespace) -> None:
    for folder in (args.log, args.archive):
        if folder is not None and not folder.is_dir():
            print(say("audit_folder", folder), file=sys.stderr)
            raise SystemExit(2)


def _verified(args: argparse.Namespace, key: AuditKey) -> Verified:
    _need_folders(args)
    try:
        return files.verify_folder(args.log, key, args.known, args.archive)
    except OSError as error:
        print(say("audit_unreadable_log", error), file=sys.stderr)
        raise SystemExit(2) from None


def _lines(args: argparse.Namespace) -> Iterator[bytes]:
    for path in files.all_files(args.log, args.archive):
        yield from files.lines(path)


def _told(found: Verified) -> int:
    if found.flaw is None:
        return 0
    print(say(f"audit_{found.flaw.reason}", found.flaw), file=sys.stderr)
    return 1
