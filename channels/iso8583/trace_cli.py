"""``yyt bank trace``: what went to a bank and came from it, masked, for its tester."""

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from msgspec import to_builtins

from channels.iso8583.trace import IN, NOTE, OUT, Line, lines

_TEXT = {
    "zh": {
        "about": "显示与银行往来的报文（逐域，已屏蔽），供银行验收测试",
        "directory": "通道配置 trace.directory",
        "bank": "通道名",
        "key": "支付键；不给则显示全部",
        "since": "起始时间",
        "until": "截止时间",
        "none": "没有记录（通道配置中有 trace 吗？）",
        "out": "发出",
        "in": "收到",
        "note": "判断",
        "bytes": "线上 {0} 字节，报文 {1} 字节",
        "problem": "问题",
    },
    "en": {
        "about": "show what went to a bank and came from it, field by field, masked",
        "directory": "trace.directory of the channel's configuration",
        "bank": "name of the channel",
        "key": "payment key; all of it without one",
        "since": "from then on",
        "until": "up to then",
        "none": "no record (does the channel's configuration have trace?)",
        "out": "out",
        "in": "in",
        "note": "reading",
        "bytes": "{0} bytes on the wire, message {1} bytes",
        "problem": "problem",
    },
}
_TIME = "YYYYMMDD[hhmmss]"


def register(verbs: Any) -> None:
    """Add the verb to ``yyt bank``."""
    text = _text()
    example = "yyt bank trace /var/lib/yinyitong/trace icbc --since 20260704120000"
    parser = verbs.add_parser(
        "trace", help=text["about"], description=text["about"], epilog=example
    )
    parser.add_argument("directory", type=Path, metavar="DIR", help=text["directory"])
    parser.add_argument("bank", metavar="BANK", help=text["bank"])
    parser.add_argument("key", metavar="KEY", nargs="?", default="", help=text["key"])
    parser.add_argument("--since", default="", metavar=_TIME, help=text["since"])
    parser.add_argument("--until", default="", metavar=_TIME, help=text["until"])
    parser.add_argument("--json", action="store_true")
    parser.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> int:
    found = chosen(list(lines(args.directory, args.bank)), args.key, args.since, args.until)
    if args.json:
        sys.stdout.write(json.dumps(to_builtins(found), ensure_ascii=False) + "\n")
    elif not found:
        raise SystemExit(f"{args.bank} {args.key}: {_text()['none']}")
    else:
        sys.stdout.write("\n".join(row for line in found for row in shown(line)) + "\n")
    return 0


def chosen(found: Sequence[Line], key: str, since: str, until: str) -> list[Line]:
    """The lines of a time, and of a payment: all that its terminal said or heard under its STAN."""
    first, last = since, until + "9" * (14 - len(until)) if until else ""
    in_time = [
        line
        for line in found
        if (not first or _digits(line) >= first) and (not last or _digits(line) <= last)
    ]
    if not key:
        return in_time
    names = {(line.terminal, line.stan) for line in in_time if line.payment == key}
    return [line for line in in_time if (line.terminal, line.stan) in names]


def shown(line: Line) -> list[str]:
    """One line for people."""
    text = _text()
    head = f"{line.at}  {text[line.way]}  {line.link}"
    if line.way == NOTE:
        return [f"{head}  {line.terminal} {line.stan}  {line.text} {line.payment}".rstrip()]
    assert line.way in (OUT, IN)
    message: dict[str, Any] = line.message
    sizes = text["bytes"].format(line.wire_bytes, line.message_bytes)
    rows = [f"{head}  {message.get('mti', '')} {message.get('kind', '')}  {sizes}"]
    header = " ".join(f"{name}={value}" for name, value in message.get("header", {}).items())
    rows += [f"    {header}"] if header else []
    parts = message.get("subfields", {})
    for number, value in message.get("fields", {}).items():
        rows.append(f"    {number:>4}  {value}")
        for part in parts.get(number, []):
            rows.append(f"          {part['label']:<8} {part['value']}  {part['name']}".rstrip())
    if message.get("problem"):
        rows.append(f"    {text['problem']}: {message['problem']}")
    return rows


def _digits(line: Line) -> str:
    return line.at.replace(" ", "")


def _text() -> dict[str, str]:
    return _TEXT["en" if os.environ.get("YYT_LANG") == "en" else "zh"]
