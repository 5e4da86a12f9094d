"""``yyt describe``: any frame explained, field by field, masked."""

import argparse
import json
import os
import sys
from typing import TYPE_CHECKING
from unicodedata import east_asian_width

if TYPE_CHECKING:
    from channels.iso8583.describe import Description
    from channels.iso8583.errors import RemoteError
    from channels.iso8583.framing import Look

_EXAMPLES = """  yyt describe 003C6000030000603100310000080000200000008000120000013130303030303031…
  yyt describe --dialect cups-host --json - < frame.hex
  tail -1 trace.hex | yyt describe --body --dialect ./my-bank.yaml -"""

_TEXT = {
    "zh": {
        "about": "逐域解释一条 8583 报文 (屏蔽卡号、磁道、PIN、密钥)。\n"
        "命令行参数会被本机其他用户看到: 生产报文请用 - 从标准输入读。",
        "hex": "十六进制报文, 含或不含长度前缀; - 表示标准输入",
        "dialect": "报文规范名或文件; 不写则自动判断",
        "body": "报文从消息类型开始 (无长度前缀, 无报文头)",
        "unmasked": "不屏蔽 (仅用于测试数据)",
        "json": "输出 JSON",
        "examples": "示例:",
        "exit": "返回码: 0 已解释; 1 报文有误 (指出域与规则); 2 用法有误",
        "not_hex": "不是十六进制",
        "empty": "没有报文",
        "none": "没有一种内置规范能解开这条报文",
        "looks": "看起来是 ",
        "also": "也可能是",
        "ascii_length": "4 位 ASCII 长度",
        "binary_length": "2 字节二进制长度",
        "cups_header": "46 字节 CUPS 报文头",
        "tpdu": "TPDU",
        "ascii_mti": "ASCII 消息类型",
        "bcd_mti": "BCD 消息类型",
        "nothing": "不像任何已知的报文开头",
        "message": "报文",
        "unknown": "规范中没有这种业务",
        "header": "报文头",
        "problem": "问题",
    },
    "en": {
        "about": "explain any frame field by field (card, tracks, PIN and keys are masked).\n"
        "Other users of this machine see arguments: pipe live frames in with -.",
        "hex": "the frame in hex, with or without its length prefix; - is stdin",
        "dialect": "name or file of a dialect; without it the likely one is found",
        "body": "the frame begins at its message type (no prefix, no headers)",
        "unmasked": "mask nothing (test data only)",
        "json": "JSON",
        "examples": "examples:",
        "exit": "exit code: 0 explained; 1 bad frame (field and rule are named); 2 usage",
        "not_hex": "not hexadecimal",
        "empty": "no frame",
        "none": "no built-in dialect can read this frame",
        "looks": "looks like ",
        "also": "could also be",
        "ascii_length": "a 4-digit ASCII length",
        "binary_length": "a 2-byte binary length",
        "cups_header": "the 46-byte CUPS header",
        "tpdu": "a TPDU",
        "ascii_mti": "an ASCII message type",
        "bcd_mti": "a BCD message type",
        "nothing": "no known beginning of a frame",
        "message": "message",
        "unknown": "no business of this dialect",
        "header": "header",
        "problem": "problem",
    },
}


def register(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    text = _TEXT["en" if os.environ.get("YYT_LANG") == "en" else "zh"]
    parser.description = text["about"]
    parser.epilog = f"{text['examples']}\n{_EXAMPLES}\n\n{text['exit']}"
    parser.add_argument("frame", metavar="HEX|-", nargs="+", help=text["hex"])
    parser.add_argument("--dialect", metavar="NAME|FILE", help=text["dialect"])
    parser.add_argument("--body", action="store_true", help=text["body"])
    parser.add_argument("--unmasked", action="store_true", help=text["unmasked"])
    parser.add_argument("--json", action="store_true", help=text["json"])
    parser.set_defaults(run=lambda args: _run(args, text))


def _run(args: argparse.Namespace, text: dict[str, str]) -> int:
    from channels.iso8583.codec import Codec
    from channels.iso8583.describe import described
    from channels.iso8583.errors import DialectError, RemoteError
    from channels.iso8583.framing import likely, looks, read, refusals
    from channels.iso8583.load import BUILT_IN, load_dialect

    data = _bytes(" ".join(args.frame), text)
    guess = _guess(looks(data, body=args.body), text)
    try:
        if args.dialect:
            one = read(Codec(load_dialect(args.dialect)), data, body=args.body)
            others: list[str] = []
        else:
            codecs = [Codec(load_dialect(name)) for name in BUILT_IN]
            found = likely(codecs, data, body=args.body)
            if not found:
                return _nobodys(args, text, refusals(codecs, data, body=args.body), guess)
            one = found[0]
            others = [other.codec.dialect.name for other in found[1:]]
    except DialectError as error:
        raise SystemExit(str(error)) from None
    except RemoteError as error:
        return _failed(args, error.path, error.rule, guess)
    dialect = one.codec.dialect
    english = text is _TEXT["en"]
    shown = described(dialect, one.message, unmasked=args.unmasked, english=english)
    if args.json:
        facts = shown.as_json() | {"looks_like": guess, "others": others}
        sys.stdout.write(json.dumps(facts, ensure_ascii=False) + "\n")
        return 0
    lines = [f"{dialect.name} · {dialect.title}", guess]
    if others:
        lines.append(f"{text['also']}: {', '.join(others)}")
    sys.stdout.write("\n".join([*lines, *_lines(shown, text)]) + "\n")
    return 0


def _guess(found: "list[Look]", text: dict[str, str]) -> str:
    """What the frame begins with; banks' support desks know the English words."""
    english = _TEXT["en"]
    said = [
        words["looks"] + (" + ".join(words[look] for look in found) or words["nothing"])
        for words in ([text] if text is english else [text, english])
    ]
    return " · ".join(said)


def _bytes(given: str, text: dict[str, str]) -> bytes:
    """The frame; whitespace and colons between its digits are nothing."""
    if given == "-":
        given = sys.stdin.read()
    try:
        data = bytes.fromhex(given.replace(":", " "))
    except ValueError:
        raise SystemExit(text["not_hex"]) from None
    if not data:
        raise SystemExit(text["empty"])
    return data


def _failed(args: argparse.Namespace, path: str, rule: str, guess: str) -> int:
    if args.json:
        error = {"field": path, "rule": rule}
        facts = {"error": error, "looks_like": guess}
        sys.stdout.write(json.dumps(facts, ensure_ascii=False) + "\n")
    else:
        sys.stderr.write(f"yyt describe: {path}: {rule} ({guess})\n")
    return 1


def _nobodys(
    args: argparse.Namespace, text: dict[str, str], why: "dict[str, RemoteError]", guess: str
) -> int:
    """No dialect reads it: the error of the one that came as far as a field, and every other."""
    tried = {name: {"field": error.path, "rule": error.rule} for name, error in why.items()}
    name, error = next(iter(why.items()))
    likely_one = error.path.isdigit()
    if args.json:
        first = tried[name] if likely_one else {"field": "frame", "rule": text["none"]}
        facts = {"error": first, "looks_like": guess, "tried": tried}
        sys.stdout.write(json.dumps(facts, ensure_ascii=False) + "\n")
        return 1
    lines = [f"yyt describe: frame: {text['none']} ({guess})"]
    lines += [f"  {name}: {error.path}: {error.rule}" for name, error in why.items()]
    sys.stderr.write("\n".join(lines) + "\n")
    return 1


def _lines(shown: "Description", text: dict[str, str]) -> list[str]:
    """For people: one line for each field, its parts below it."""
    lines = [f"{text['message']}: {shown.mti} {shown.kind or text['unknown']}"]
    if shown.header:
        lines.append(f"{text['header']}: " + " ".join(f"{k}={v}" for k, v in shown.header.items()))
    for one in shown.fields:
        note = f"  ({one.note})" if one.note else ""
        lines.append(f"{one.number:>4} {_padded(one.name, 24)} {one.value}{note}")
        for piece in one.pieces:
            lines.append(f"{'':>6} {piece.label:<6} {_padded(piece.name, 28)} {piece.value}")
    if shown.problem:
        lines.append(f"{text['problem']}: {shown.problem}")
    return lines


def _padded(name: str, columns: int) -> str:
    """To a width in columns of the screen: a Chinese character takes two."""
    width = sum(2 if east_asian_width(char) in "WF" else 1 for char in name)
    return name + " " * (columns - width)
