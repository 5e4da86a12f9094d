"""``yyt hsm``: serve, status, generate-key, wrap-test-key."""

import argparse
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from hsm import cli_ceremony, cli_console, cli_officers, cli_serve
from hsm.audit.cli import register as register_audit
from hsm.bench.cli import register as register_bench
from hsm.errors import CommandError
from hsm.texts import say

T = TypeVar("T")

_EPILOG = """examples:
  yyt hsm serve --test-lmk --listen tcp:127.0.0.1:1500
  yyt hsm status --connect tcp:127.0.0.1:1500
  yyt hsm generate-key --type 00B --connect unix:/run/yyt/hsm.sock
  yyt hsm wrap-test-key --type 000 --file tmk.hex

软件不是安全密码设备。Software is not a secure cryptographic device: for live PIN traffic put a
certified payShield (or a compatible Chinese HSM) behind the same client."""


def register(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``yyt hsm``."""
    parser.description = "软件加密机 the software HSM (payShield host commands)"
    parser.epilog = _EPILOG
    verbs = parser.add_subparsers(metavar="VERB", required=True)
    cli_serve.register(verbs.add_parser("serve", help="运行加密机 run the daemon"))

    commands = verbs.add_parser("commands", help="列出主机指令 print the table of host commands")
    commands.set_defaults(run=_commands)

    status = verbs.add_parser(
        "status", help="查询状态 how a daemon is (without --connect: in full)"
    )
    status.add_argument("--connect", type=cli_serve.address, metavar="ADDRESS", help="ask NC there")
    cli_officers.add_admin(status)
    status.add_argument("--json", action="store_true")
    status.set_defaults(run=_status)

    generate = verbs.add_parser("generate-key", help="生成密钥 have a key made (A0)")
    generate.add_argument("--type", required=True, help="000 ZMK, 001 ZPK, 003 TAK, 00B DEK …")
    generate.add_argument("--scheme", default="U", choices=["U", "T", "X", "Y", "Z"])
    generate.add_argument("--connect", type=cli_serve.address, required=True, metavar="ADDRESS")
    generate.add_argument("--json", action="store_true", help="(it is always JSON)")
    generate.set_defaults(run=_generate)

    wrap = verbs.add_parser(
        "wrap-test-key",
        help="用测试 LMK 加密外部测试密钥 a test key of the outside world, under the test LMK",
    )
    wrap.add_argument("--type", required=True, help="000 ZMK/TMK, 001 ZPK, 002 TPK, 003 TAK …")
    wrap.add_argument("--scheme", choices=["U", "T", "X", "Y", "Z"])
    wrap.add_argument(
        "--file", type=Path, required=True, nargs="+", help="clear key in hex, one line for each"
    )
    wrap.add_argument("--json", action="store_true", help="(it is always JSON)")
    wrap.set_defaults(run=_wrap)

    cli_officers.register(verbs)
    cli_ceremony.register(verbs)
    cli_console.register(verbs)
    register_audit(verbs)
    register_bench(verbs)


def _commands(_args: argparse.Namespace) -> int:
    from hsm.reference import command_table

    print(command_table())
    return 0


def _status(args: argparse.Namespace) -> int:
    from hsm import console, layouts

    if args.connect is None:
        return cli_officers.status(args)
    answer = _tried(lambda: console.ask(args.connect, layouts.NC, {}))
    if args.json:
        print(json.dumps({"address": str(args.connect), **answer}))
    else:
        print(f"{args.connect}  LMK {answer['lmk_check_value']}  {answer['firmware']}")
    return 0


def _generate(args: argparse.Namespace) -> int:
    from hsm import console, layouts

    asked = {"mode": "0", "key_type": args.type, "scheme_lmk": args.scheme}
    answer = _tried(lambda: console.ask(args.connect, layouts.A0, asked))
    print(json.dumps({"key": str(answer["key_lmk"]), "kcv": answer["check_value"]}))
    return 0


def _wrap(args: argparse.Namespace) -> int:
    """Only ever under the published LMK: it could not protect a live key, and says so."""
    for file in args.file:
        print(json.dumps(_wrapped(args.type, args.scheme, file)))
    return 0


def _wrapped(key_type: str, scheme: str | None, file: Path) -> dict[str, str]:
    from hsm import primitives
    from hsm.keys import scheme_for
    from hsm.lmk import published_test_lmk

    text = file.read_text(encoding="ascii").strip()
    if not re.fullmatch("(?:[0-9A-Fa-f]{16}){1,3}", text):
        raise SystemExit(say("key_file", file))
    clear = primitives.odd_parity(bytes.fromhex(text))
    wrapped = _tried(
        lambda: published_test_lmk().wrap(key_type, scheme or scheme_for(len(clear)), clear)
    )
    return {"key": str(wrapped), "kcv": primitives.check_value(clear).hex().upper()[:8]}


def _tried(what: Callable[[], T]) -> T:
    try:
        return what()
    except CommandError as error:
        print(say("refused", error), file=sys.stderr)
    except ValueError as error:
        raise SystemExit(str(error)) from None
    except OSError as error:
        print(say("cannot_reach", error), file=sys.stderr)
    raise SystemExit(1)
