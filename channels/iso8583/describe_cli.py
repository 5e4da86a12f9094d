"""``yyt describe``: any frame explained, field by field, masked."""

import argparse
import json
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from channels.iso8583.describe_texts import EXAMPLES, TEXT
from switch.observe.columns import columns_of, padded

if TYPE_CHECKING:
    from channels.iso8583.codec import Codec
    from channels.iso8583.describe import Description
    from channels.iso8583.framing import Broken, Look, Read

_USAGE = 2
"""Exit code: the user's own mistake."""


def register(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    text = TEXT["en" if os.environ.get("YYT_LANG") == "en" else "zh"]
    parser.description = text["about"]
    parser.epilog = f"{text['examples']}\n{EXAMPLES}\n\n{text['exit']}"
    parser.add_argument("frame", metavar="HEX|-", nargs="+", help=text["hex"])
    parser.add_argument("--dialect", metavar="NAME|FILE", help=text["dialect"])
    parser.add_argument("--body", action="store_true", help=text["body"])
    parser.add_argument("--unmasked", action="store_true", help=text["unmasked"])
    parser.add_argument("--json", action="store_true", help=text["json"])
    parser.set_defaults(run=lambda args: _run(args, text))


def _run(args: argparse.Namespace, text: dict[str, str]) -> int:
    from channels.iso8583.codec import Codec
    from channels.iso8583.errors import DialectError
    from channels.iso8583.framing import likely
    from channels.iso8583.load import BUILT_IN, load_dialect
    from channels.iso8583.several import NotHexError, frames_in

    given = " ".join(args.frame)
    try:
        names = [args.dialect] if args.dialect else BUILT_IN
        codecs = [Codec(load_dialect(name)) for name in names]
        frames = frames_in(
            sys.stdin.read() if given == "-" else given,
            lambda data: bool(likely(codecs, data, body=args.body)),
            body=args.body,
        )
    except DialectError as error:
        return _mistake(args, "dialect", str(error))
    except NotHexError as error:
        why = "odd" if error.at is None else "not_hex"
        return _mistake(args, "frame", text[why].format(error.at))
    except UnicodeDecodeError as error:  # the frame itself came, not its hexadecimal text
        return _mistake(args, "frame", text["not_hex"].format(error.start + 1))
    if not frames:
        return _mistake(args, "frame", text["empty"])
    code = 0
    for number, data in enumerate(frames, 1):
        which = text["nth"].format(number, len(frames)) if len(frames) > 1 else None
        if which and not args.json:
            _write(["" if number > 1 else None, which])
        wrong = _frame(args, text, codecs, data)
        if wrong:
            code = 1
            if not args.json:
                _complain([which, *wrong] if which else wrong)
    return code


def _frame(
    args: argparse.Namespace, text: dict[str, str], codecs: "list[Codec]", data: bytes
) -> list[str]:
    """One frame; what is wrong with it when none of the dialects reads it."""
    from channels.iso8583.framing import as_far, likely, looks

    guess = _guess(looks(data, body=args.body), text)
    found = likely(codecs, data, body=args.body)
    if found:
        _whole(args, text, found, guess)
        return []
    broken = [as_far(codec, data, body=args.body) for codec in codecs]
    # The dialect that came farthest first: the likeliest, and what most can be shown by.
    tried = sorted(broken, key=_fields_read, reverse=True)
    return _broken(args, text, tried, guess, _others(args, data))


def _others(args: argparse.Namespace, data: bytes) -> list[str]:
    """Built-in dialects that read a frame which the named one refuses."""
    from channels.iso8583.codec import Codec
    from channels.iso8583.framing import likely
    from channels.iso8583.load import BUILT_IN, load_dialect

    if not args.dialect:
        return []
    codecs = [Codec(load_dialect(name)) for name in BUILT_IN]
    return [one.codec.dialect.name for one in likely(codecs, data, body=args.body)]


def _fields_read(one: "Broken") -> int:
    return -1 if one.message is None else len(one.message.fields)


def _whole(args: argparse.Namespace, text: dict[str, str], found: "list[Read]", guess: str) -> None:
    from channels.iso8583.describe import described

    dialect = found[0].codec.dialect
    others = [other.codec.dialect.name for other in found[1:]]
    shown = described(dialect, found[0].message, unmasked=args.unmasked, english=text is TEXT["en"])
    if args.json:
        _json(shown.as_json() | {"looks_like": guess, "others": others})
        return
    also = f"{text['also']}: {', '.join(others)}" if others else None
    _write([f"{dialect.name} · {dialect.title}", guess, also, *_lines(shown, text)])
    if shown.problem:
        _write([f"{text['problem']}: {shown.problem}"])


def _broken(
    args: argparse.Namespace,
    text: dict[str, str],
    tried: "list[Broken]",
    guess: str,
    others: list[str],
) -> list[str]:
    """The fields before the mistake, of the dialect that came farthest; then each one's mistake."""
    dialect = tried[0].codec.dialect
    shown = _as_far(tried[0], args, text)
    why = _why(tried, text)
    error, problem = _error(tried[0], text), why[dialect.name]
    if len(tried) > 1 and shown is None:
        error, problem = {"field": "frame", "rule": text["none"]}, text["none"]
    if args.json:
        facts: dict[str, Any] = {} if shown is None else shown.as_json()
        facts |= {"error": error, "problem": problem, "looks_like": guess, "others": others}
        if len(tried) > 1:
            facts["tried"] = {one.codec.dialect.name: _error(one, text) for one in tried}
        _json(facts)
    elif shown is not None:
        _write([f"{dialect.name} · {dialect.title}", guess, *_lines(shown, text, whole=False)])
    if len(tried) == 1:
        hint = [f"{text['reads']}: {', '.join(others)}"] if others else []
        return [f"{problem} ({guess})", *hint]
    return [f"{text['none']} ({guess})", *(f"{name}: {said}" for name, said in why.items())]


def _as_far(one: "Broken", args: argparse.Namespace, text: dict[str, str]) -> "Description | None":
    from channels.iso8583.describe import Explainer

    if one.message is None:
        return None
    return Explainer(one.codec.dialect).described(
        one.message, one.errors, unmasked=args.unmasked, english=text is TEXT["en"]
    )


def _why(tried: "list[Broken]", text: dict[str, str]) -> dict[str, str]:
    """Dialect → place and rule of each mistake."""
    from channels.iso8583.rule_texts import problem_text

    english = text is TEXT["en"]
    return {
        one.codec.dialect.name: problem_text(one.errors, one.codec.dialect, english=english)
        for one in tried
    }


def _error(one: "Broken", text: dict[str, str]) -> dict[str, str]:
    from channels.iso8583.rule_texts import rule_text

    error = one.errors[0]
    return {"field": error.path, "rule": rule_text(error.rule, english=text is TEXT["en"])}


def _mistake(args: argparse.Namespace, what: str, sentence: str) -> int:
    """What was given is no frame, or no dialect: one sentence."""
    if args.json:
        _json({"error": {"field": what, "rule": sentence}, "problem": sentence})
        return _USAGE
    raise SystemExit(sentence)


def _guess(found: "list[Look]", text: dict[str, str]) -> str:
    """What the frame begins with; banks' support desks know the English words."""
    english = TEXT["en"]
    said = [
        words["looks"] + " + ".join(words[look] for look in found) if found else words["nothing"]
        for words in ([text] if text is english else [text, english])
    ]
    return " · ".join(said)


def _lines(shown: "Description", text: dict[str, str], *, whole: bool = True) -> list[str]:
    """For people: one line for each field, its parts below it."""
    kind = shown.kind or (text["unknown"] if whole else "")
    lines = [f"{text['message']}: {shown.mti} {kind}".rstrip()]
    if shown.header:
        lines.append(f"{text['header']}: " + " ".join(f"{k}={v}" for k, v in shown.header.items()))
    wide = max((columns_of(one.name) for one in shown.fields), default=0)
    for one in shown.fields:
        note = f"  ({one.note})" if one.note else ""
        lines.append(f"{one.number:>4} {padded(one.name, wide)}  {one.value}{note}")
        inner = max((columns_of(piece.name) for piece in one.pieces), default=0)
        for piece in one.pieces:
            lines.append(f"{'':>6} {piece.label:<6} {padded(piece.name, inner)}  {piece.value}")
    return lines


def _write(lines: Sequence[str | None]) -> None:
    sys.stdout.write("".join(f"{line}\n" for line in lines if line is not None))
    sys.stdout.flush()  # what is complained of on stderr comes behind it


def _complain(lines: Sequence[str]) -> None:
    first, *more = lines
    sys.stderr.write("".join([f"yyt describe: {first}\n", *(f"  {line}\n" for line in more)]))


def _json(facts: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(facts, ensure_ascii=False) + "\n")
