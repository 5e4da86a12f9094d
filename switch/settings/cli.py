"""``yyt conf``: check a configuration before anything starts with it, and explain every key."""

import argparse
import json
import os
from collections.abc import Iterator
from pathlib import Path

from switch.settings import Settings
from switch.settings.document import SettingsError
from switch.settings.explain import markdown
from switch.settings.hooks import told
from switch.settings.secrets import check_reference, resolve
from switch.settings.whole import load, plugin_settings

_ZH = {
    "ok": "配置正确",
    "secret": "注意：密钥引用此刻读不到",
    "file": "注意：文件此刻读不到",
}
_EN = {
    "ok": "configuration is right",
    "secret": "note: a secret cannot be read here",
    "file": "note: a file cannot be read here",
}


def register(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``yyt conf``."""
    parser.epilog = "yyt conf check /etc/yinyitong/switch.yaml"
    verbs = parser.add_subparsers(required=True, metavar="check | schema")
    check = verbs.add_parser("check", help="name the first mistake of every section; exit 0 or 2")
    check.add_argument("file", type=Path)
    check.add_argument("--json", action="store_true", help="problems as one JSON object")
    check.set_defaults(run=_check)
    schema = verbs.add_parser("schema", help="print every key as Markdown")
    schema.set_defaults(run=_schema)


def _check(args: argparse.Namespace) -> int:
    texts = _EN if os.environ.get("YYT_LANG") == "en" else _ZH
    notes: list[str] = []

    def lenient(reference: str) -> str:
        """A wrong reference is a mistake; one that only the server can read is a note."""
        check_reference(reference)
        try:
            return resolve(reference)
        except ValueError as error:
            notes.append(f"{texts['secret']}: {error}")
            return "unreadable-here"

    problems = []
    try:
        settings = load(args.file, lenient)
        notes += [f"{texts['file']}: {text}" for text in unreadable_files(settings)]
    except SettingsError as error:
        problems = list(error.problems)
    if args.json:
        rows = [{"file": p.file, "line": p.line, "path": p.path, "text": p.text} for p in problems]
        print(json.dumps({"ok": not problems, "problems": rows, "notes": notes}))
    else:
        for line in [*map(str, problems), *notes]:
            print(line)
        if not problems:
            print(f"{args.file}: {texts['ok']}")
    return 2 if problems else 0


def unreadable_files(settings: Settings) -> Iterator[str]:
    """Place, path and reason of each file (certificates, keys) that a section names and that this
    user cannot read. Nothing of a file is kept: a plugin's settings may offer ``named_files() ->
    iterable of (field, path)``."""
    for group, instance, _plugin, section in plugin_settings(settings):
        for field, path in told(section, "named_files", tuple[tuple[str, str], ...]()):
            try:
                with Path(path).open("rb"):
                    pass
            except OSError as error:
                place = f"{group.value.removeprefix('yyt.')} {instance}: {field}"
                yield f"{place}: {path}: {error.strerror}"


def _schema(_args: argparse.Namespace) -> int:
    print(markdown(), end="")
    return 0
