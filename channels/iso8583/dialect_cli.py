"""``yyt dialect``: check, compare and show the files that say how a bank speaks."""

import argparse
import json
import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from channels.iso8583.dialect import Dialect

_TEXT = {
    "zh": {
        "about": "报文规范: 检查、比较、显示",
        "list": "列出内置规范",
        "check": "检查一份报文规范",
        "diff": "比较两份报文规范",
        "show": "显示参考页 (--source: 原文件, 可复制后修改)",
        "source": "原样输出规范文件",
        "good": "报文规范正确",
        "bad": "报文规范有误",
        "same": "两份规范相同",
        "nothing": "(无)",
        "offers": "业务",
        "examples": "示例:",
        "exit": "返回码: 0 正确 / 相同; 1 有误 / 不同; 2 用法有误",
    },
    "en": {
        "about": "dialects of banks: check, compare, show",
        "list": "list the built-in dialects",
        "check": "check a dialect file",
        "diff": "compare two dialects",
        "show": "print the reference page (--source: the file itself, to copy and change)",
        "source": "print the file as it is",
        "good": "dialect is right",
        "bad": "dialect is wrong",
        "same": "they are the same",
        "nothing": "(nothing)",
        "offers": "offers",
        "examples": "examples:",
        "exit": "exit code: 0 right / the same; 1 wrong / different; 2 usage",
    },
}

_EXAMPLES = """  yyt dialect show --source cup-pos > my-bank.yaml
  yyt dialect check my-bank.yaml
  yyt dialect diff cup-pos my-bank.yaml"""


def register(parser: argparse.ArgumentParser) -> None:
    """Add the verbs."""
    text = _TEXT["en" if os.environ.get("YYT_LANG") == "en" else "zh"]
    parser.description = text["about"]
    parser.epilog = f"{text['examples']}\n{_EXAMPLES}\n\n{text['exit']}"
    verbs = parser.add_subparsers(required=True, metavar="VERB")

    listed = verbs.add_parser("list", help=text["list"], description=text["list"])
    listed.add_argument("--json", action="store_true")
    listed.set_defaults(run=lambda args: _list(args, text))

    check = verbs.add_parser("check", help=text["check"], description=text["check"])
    check.add_argument("dialect", metavar="NAME|FILE")
    check.add_argument("--json", action="store_true")
    check.set_defaults(run=lambda args: _check(args, text))

    diff = verbs.add_parser("diff", help=text["diff"], description=text["diff"])
    diff.add_argument("first", metavar="A")
    diff.add_argument("second", metavar="B")
    diff.add_argument("--json", action="store_true")
    diff.set_defaults(run=lambda args: _diff(args, text))

    show = verbs.add_parser("show", help=text["show"], description=text["show"])
    show.add_argument("dialect", metavar="NAME|FILE")
    show.add_argument("--source", action="store_true", help=text["source"])
    show.add_argument("--json", action="store_true")
    show.set_defaults(run=_show)


def _list(args: argparse.Namespace, text: dict[str, str]) -> int:
    from channels.iso8583.load import BUILT_IN

    found = [_loaded(name) for name in BUILT_IN]
    if args.json:
        return _json([_facts(one) for one in found])
    for one in found:
        print(f"{one.name:<10} {one.title}")
        print(f"{'':<10} {text['offers']}: {', '.join(one.operations)}")
    return 0


def _check(args: argparse.Namespace, text: dict[str, str]) -> int:
    from channels.iso8583.errors import DialectError
    from channels.iso8583.load import load_dialect

    try:
        dialect = load_dialect(args.dialect)
    except DialectError as error:
        if args.json:
            _json({"ok": False, "error": str(error)})
        else:
            print(f"{text['bad']}: {error}", file=sys.stderr)
        return 1
    if args.json:
        return _json({"ok": True, **_facts(dialect)})
    print(f"{text['good']}: {dialect.name} · {dialect.title}")
    print(f"{text['offers']}: {', '.join(dialect.operations)}")
    return 0


def _diff(args: argparse.Namespace, text: dict[str, str]) -> int:
    from msgspec import to_builtins

    from channels.iso8583.dialect_diff import differences

    found = differences(_loaded(args.first), _loaded(args.second))
    if args.json:
        _json(to_builtins(found))
        return 1 if found else 0
    for one in found:
        print(one.path)
        print(f"  - {one.first or text['nothing']}")
        print(f"  + {one.second or text['nothing']}")
    if not found:
        print(text["same"])
    return 1 if found else 0


def _show(args: argparse.Namespace) -> int:
    from channels.iso8583.dialect_page import reference_page
    from channels.iso8583.load import read_source

    dialect = _loaded(args.dialect)
    if args.json:
        return _json(_facts(dialect))
    page = read_source(args.dialect) if args.source else reference_page(dialect)
    sys.stdout.write(page)
    return 0


def _loaded(name: str) -> "Dialect":
    from channels.iso8583.errors import DialectError
    from channels.iso8583.load import load_dialect

    try:
        return load_dialect(name)
    except DialectError as error:
        raise SystemExit(str(error)) from None


def _facts(dialect: "Dialect") -> dict[str, object]:
    return {
        "name": dialect.name,
        "title": dialect.title,
        "length_prefix": str(dialect.length_prefix),
        "mac": str(dialect.mac.rule),
        "operations": list(dialect.operations),
        "fields": len(dialect.fields),
        "codes": len(dialect.codes),
    }


def _json(data: object) -> int:
    sys.stdout.write(json.dumps(data, ensure_ascii=False) + "\n")
    return 0
