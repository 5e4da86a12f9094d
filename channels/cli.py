"""``yyt bank``: the bank host simulator and the dialects."""

import argparse
import json
import os
import sys
from importlib.metadata import entry_points

from channels.bank_simulator import cli as simulator

VERBS = "yyt.commands.bank"
"""Group of entry points that add verbs of their own (``name = module:register``)."""

_TEXT = {
    "zh": {
        "about": "银行链路：主机模拟器、报文规范检查",
        "check": "检查一份报文规范",
        "good": "报文规范正确",
        "bad": "报文规范有误",
        "example": "示例",
    },
    "en": {
        "about": "bank links: the host simulator, and a check of dialects",
        "check": "check a dialect file",
        "good": "dialect is right",
        "bad": "dialect is wrong",
        "example": "example",
    },
}


def register(parser: argparse.ArgumentParser) -> None:
    """Add the verbs."""
    language = "en" if os.environ.get("YYT_LANG") == "en" else "zh"
    text = _TEXT[language]
    parser.description = text["about"]
    parser.epilog = f"{text['example']}: yyt bank check cup-pos"
    verbs = parser.add_subparsers(required=True, metavar="VERB")

    simulator.register(verbs, language)
    check = verbs.add_parser(
        "check",
        help=text["check"],
        description=text["check"],
        epilog=f"{text['example']}: yyt bank check cup-pos",
    )
    check.add_argument("dialect", metavar="NAME|FILE")
    check.add_argument("--json", action="store_true")
    check.set_defaults(run=lambda args: _check(args, text))
    for entry in sorted(entry_points(group=VERBS)):
        entry.load()(verbs)


def _check(args: argparse.Namespace, text: dict[str, str]) -> int:
    from channels.iso8583.errors import DialectError
    from channels.iso8583.load import load_dialect

    try:
        dialect = load_dialect(args.dialect)
    except DialectError as error:
        _say(args, {"ok": False, "error": str(error)}, f"{text['bad']}: {error}")
        return 1
    facts = {"name": dialect.name, "fields": len(dialect.fields), "codes": len(dialect.codes)}
    _say(args, {"ok": True, **facts}, f"{text['good']}: {dialect.name} · {dialect.title}")
    return 0


def _say(args: argparse.Namespace, data: dict[str, object], sentence: str) -> None:
    sys.stdout.write((json.dumps(data, ensure_ascii=False) if args.json else sentence) + "\n")
