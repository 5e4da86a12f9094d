"""``yyt bank``: the bank host simulator and the dialects."""

import argparse
import json
import os
import sys
import time
from pathlib import Path
from random import Random
from typing import Any

_TEXT = {
    "zh": {
        "about": "银行链路：主机模拟器、报文规范检查",
        "simulate": "运行银行主机模拟器（签到、MAC、PIN、落盘账本、可注入故障）",
        "check": "检查一份报文规范",
        "good": "报文规范正确",
        "bad": "报文规范有误",
        "example": "示例",
    },
    "en": {
        "about": "bank links: the host simulator, and a check of dialects",
        "simulate": "run the bank host simulator (sign-on, MAC, PIN, durable ledger, bad habits)",
        "check": "check a dialect file",
        "good": "dialect is right",
        "bad": "dialect is wrong",
        "example": "example",
    },
}


def register(parser: argparse.ArgumentParser) -> None:
    """Add the verbs."""
    text = _TEXT["en" if os.environ.get("YYT_LANG") == "en" else "zh"]
    parser.description = text["about"]
    parser.epilog = f"{text['example']}: yyt bank check cup-pos"
    verbs = parser.add_subparsers(required=True, metavar="VERB")

    simulate = verbs.add_parser(
        "simulate",
        help=text["simulate"],
        description=text["simulate"],
        epilog=f"{text['example']}: yyt bank simulate --listen 127.0.0.1:8583 --http 8584 "
        "--ledger var/bank.db --keys var/bank-keys.yaml",
    )
    way = simulate.add_mutually_exclusive_group(required=True)
    way.add_argument("--listen", metavar="HOST:PORT", help="the switch dials us; 0 = free")
    way.add_argument("--connect", metavar="HOST:PORT", help="we dial the switch")
    simulate.add_argument("--http", required=True, type=int, metavar="PORT", help="/ledger …")
    simulate.add_argument("--ledger", required=True, type=Path, metavar="FILE")
    simulate.add_argument("--keys", required=True, type=Path, metavar="FILE", help="TMK, cards")
    simulate.add_argument("--dialect", default="cup-pos", metavar="NAME|FILE")
    simulate.add_argument("--seed", type=int, default=None, help="default: from the system")
    simulate.set_defaults(run=_simulate)

    check = verbs.add_parser(
        "check",
        help=text["check"],
        description=text["check"],
        epilog=f"{text['example']}: yyt bank check cup-pos",
    )
    check.add_argument("dialect", metavar="NAME|FILE")
    check.add_argument("--json", action="store_true")
    check.set_defaults(run=lambda args: _check(args, text))


def _address(text: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    if not colon or not host or not port.isdecimal():
        raise SystemExit(f"{text}: HOST:PORT is needed")
    return host, int(port)


def _simulate(args: argparse.Namespace) -> int:
    from twisted.internet import reactor
    from twisted.internet.error import CannotListenError

    from channels.bank_simulator.world import WorldError
    from channels.iso8583.errors import DialectError
    from switch.observe import logs

    logs.configure()
    try:
        _open(args, reactor)
    except (WorldError, DialectError, CannotListenError) as error:
        raise SystemExit(str(error)) from None
    reactor.run()
    return 0


def _open(args: argparse.Namespace, reactor: Any) -> None:
    """Open ledger, links and HTTP, and print the ready line."""
    from channels.bank_simulator.host import BankHost
    from channels.bank_simulator.ledger import Ledger
    from channels.bank_simulator.service import BankDialer, BankListener, BankService
    from channels.bank_simulator.world import load_world
    from channels.iso8583.load import load_dialect
    from switch.observe.http import serve_json

    dialect = load_dialect(args.dialect)
    args.ledger.parent.mkdir(parents=True, exist_ok=True)
    ledger = Ledger(str(args.ledger))
    host = BankHost(
        dialect=dialect,
        world=load_world(args.keys),
        ledger=ledger,
        random=Random(args.seed),  # noqa: S311 - a simulator must be able to repeat itself
        now_ms=lambda: int(time.time() * 1000),
    )
    service = BankService(host, reactor, dialect.length_prefix)
    ready = {"ready": "bank", "pid": os.getpid()}
    if args.listen:
        name, number = _address(args.listen)
        port = reactor.listenTCP(number, BankListener(service), interface=name)
        ready["iso8583"] = f"{name}:{port.getHost().port}"
    else:
        name, number = _address(args.connect)
        reactor.connectTCP(name, number, BankDialer(service))
        ready["iso8583"] = f"{name}:{number}"
    http: Any = serve_json(reactor, args.http, service.routes())
    ready["http"] = f"127.0.0.1:{http.getHost().port}"
    reactor.addSystemEventTrigger("after", "shutdown", ledger.close)
    print(json.dumps(ready), flush=True)


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
