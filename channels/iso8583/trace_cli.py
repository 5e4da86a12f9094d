"""``yyt bank trace``: what went to a bank and came from it, masked, for its tester."""

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from msgspec import to_builtins

from channels.iso8583.dialect import Dialect
from channels.iso8583.errors import DialectError
from channels.iso8583.load import load_dialect
from channels.iso8583.trace import Line, banks, file_of, lines
from channels.iso8583.trace_times import first_second, last_second
from channels.iso8583.trace_view import TraceView

_TEXT = {
    "zh": {
        "about": "显示与银行往来的报文（逐域，已屏蔽），供银行验收测试",
        "directory": "通道配置 trace.directory",
        "bank": "通道名",
        "key": "支付键；不给则显示全部",
        "since": "起始时间（本地时间）；只给日期：当日零时",
        "until": "截止时间（含）；只给日期：当日末",
        "dialect": "报文规范名或文件；不写则按记录所注",
        "json": "按记录原样输出 JSON",
        "exit": "返回码: 0 有记录；1 没有这个支付键，或该时段没有报文；2 用法有误",
        "time": "时间应写作 YYYY-MM-DD 或 'YYYY-MM-DD hh:mm:ss'（本地时间）",
        "no_directory": "没有这个目录（应为通道配置中的 trace.directory）",
        "no_bank": "没有通道 {0} 的记录；有记录的通道：{1}",
        "no_records": "目录中没有任何记录（通道配置中有 trace 吗？）",
        "no_key": "{0} 的记录中没有支付键 {1}",
        "no_time": "{0}：该时段没有报文",
        "unnamed": "报文规范 {0} 不是内置规范：用 --dialect FILE 给出，才有域名称与应答含义",
    },
    "en": {
        "about": "show what went to a bank and came from it, field by field, masked",
        "directory": "trace.directory of the channel's configuration",
        "bank": "name of the channel",
        "key": "payment key; all of it without one",
        "since": "from then on, local time; a date alone: from its first second",
        "until": "up to then; a date alone: to its last second",
        "dialect": "name or file of a dialect; without it the one that the record names",
        "json": "JSON, as it was recorded",
        "exit": "exit code: 0 found; 1 no such payment key, or no message in this time; 2 usage",
        "time": "a time is written YYYY-MM-DD or 'YYYY-MM-DD hh:mm:ss' (local time)",
        "no_directory": "no such directory (it is trace.directory of the channel's configuration)",
        "no_bank": "no record of the channel {0}; there are records of: {1}",
        "no_records": "no record at all is here (does the channel's configuration have trace?)",
        "no_key": "the record of {0} has no payment key {1}",
        "no_time": "{0}: no message in this time",
        "unnamed": "dialect {0} does not come with the program: --dialect FILE names its fields "
        "and response codes",
    },
}
_TIME = "YYYY-MM-DD[ hh:mm[:ss]]"
_EXAMPLE = "yyt bank trace /var/lib/yinyitong/trace icbc --since '2026-07-04 12:00'"


def register(verbs: Any) -> None:
    """Add the verb to ``yyt bank``."""
    text = _text()
    parser = verbs.add_parser(
        "trace",
        help=text["about"],
        description=text["about"],
        epilog=f"{_EXAMPLE}\n\n{text['exit']}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("directory", type=Path, metavar="DIR", help=text["directory"])
    parser.add_argument("bank", metavar="BANK", help=text["bank"])
    parser.add_argument("key", metavar="KEY", nargs="?", default="", help=text["key"])
    parser.add_argument("--since", default="", metavar=_TIME, help=text["since"])
    parser.add_argument("--until", default="", metavar=_TIME, help=text["until"])
    parser.add_argument("--dialect", metavar="NAME|FILE", help=text["dialect"])
    parser.add_argument("--json", action="store_true", help=text["json"])
    parser.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> int:
    since = _time("--since", args.since, first_second)
    until = _time("--until", args.until, last_second)
    dialect = _dialect(args.dialect)
    _require_record(args.directory, args.bank)
    kept = list(lines(args.directory, args.bank))
    found = chosen(kept, args.key, since, until)
    if args.json:
        sys.stdout.write(json.dumps(to_builtins(found), ensure_ascii=False) + "\n")
    if not found:
        return _nothing(args, kept)
    if not args.json:
        _show(found, dialect)
    return 0


def _time(option: str, text: str, read: Callable[[str], str]) -> str:
    try:
        return read(text) if text else ""
    except ValueError:
        raise SystemExit(f"{option} {text}: {_text()['time']}") from None


def _dialect(name: str | None) -> Dialect | None:
    try:
        return load_dialect(name) if name else None
    except DialectError as error:
        raise SystemExit(str(error)) from None


def _require_record(directory: Path, bank: str) -> None:
    text = _text()
    if not directory.is_dir():
        raise SystemExit(f"{directory}: {text['no_directory']}")
    if file_of(directory, bank).stem not in banks(directory):
        others = ", ".join(banks(directory))
        why = text["no_bank"].format(bank, others) if others else text["no_records"]
        raise SystemExit(f"{directory}: {why}")


def _nothing(args: argparse.Namespace, kept: Sequence[Line]) -> int:
    """Why nothing was found: the question was a right one, its answer is empty."""
    text = _text()
    if args.key and not any(line.payment == args.key for line in kept):
        why = text["no_key"].format(args.bank, args.key)
    else:
        why = text["no_time"].format(" ".join(part for part in (args.bank, args.key) if part))
    sys.stderr.write(f"yyt bank trace: {why}\n")
    return 1


def _show(found: Sequence[Line], dialect: Dialect | None) -> None:
    text = _text()
    view = TraceView(dialect, english=text is _TEXT["en"])
    sys.stdout.write("\n".join(row for line in found for row in view.rows(line)) + "\n")
    for name in sorted(view.unnamed):
        sys.stderr.write(f"yyt bank trace: {text['unnamed'].format(name)}\n")


def chosen(found: Sequence[Line], key: str, since: str, until: str) -> list[Line]:
    """The lines of a time (14 digits each; empty: no end), and of a payment: all that its terminal
    said or heard under its STAN."""
    in_time = [
        line
        for line in found
        if (not since or _digits(line) >= since) and (not until or _digits(line) <= until)
    ]
    if not key:
        return in_time
    names = {(line.terminal, line.stan) for line in in_time if line.payment == key}
    return [line for line in in_time if (line.terminal, line.stan) in names]


def _digits(line: Line) -> str:
    return line.at.replace(" ", "")


def _text() -> dict[str, str]:
    return _TEXT["en" if os.environ.get("YYT_LANG") == "en" else "zh"]
