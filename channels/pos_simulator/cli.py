"""``yyt pos``: a simulated counter POS."""

import argparse
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import msgspec

_TEXT = {
    "zh": {
        "about": "模拟柜台 POS：向交换机的 POS 入口签到并发起消费",
        "load": "按固定节奏发起消费（开环），报告成功率与时延",
        "rate": "每秒笔数",
        "counter": "柜台文件：终端、主密钥、测试卡",
    },
    "en": {
        "about": "a simulated counter POS: signs on at the switch's POS door and sells",
        "load": "begin sales on a fixed schedule (open loop); report outcomes and times",
        "rate": "sales a second",
        "counter": "the counter's file: terminals, master keys, a test card",
    },
}
STANS_PER_S = 50
_EXAMPLE = (
    "yyt pos load --connect 127.0.0.1:8600 --counter counter.yaml --rate 50 --seconds 10 --json"
)


def register(parser: argparse.ArgumentParser) -> None:
    """Add the verbs."""
    text = _TEXT["en" if os.environ.get("YYT_LANG") == "en" else "zh"]
    parser.description = text["about"]
    parser.epilog = _EXAMPLE
    verbs = parser.add_subparsers(required=True, metavar="VERB")
    load = verbs.add_parser("load", help=text["load"], description=text["load"], epilog=_EXAMPLE)
    load.add_argument("--connect", required=True, metavar="HOST:PORT")
    load.add_argument("--counter", required=True, type=Path, metavar="FILE", help=text["counter"])
    load.add_argument("--dialect", default="cup-pos", metavar="NAME|FILE")
    load.add_argument("--links", type=int, default=4)
    load.add_argument("--rate", type=int, default=50, help=text["rate"])
    load.add_argument("--seconds", type=int, default=10)
    load.add_argument("--in-flight", type=int, default=64)
    load.add_argument("--json", action="store_true")
    load.set_defaults(run=_load)


def _load(args: argparse.Namespace) -> int:
    """0: every sale was answered and approved; 1: some were not; 2: the run could not be made."""
    from twisted.internet import reactor as _reactor

    from channels.iso8583.codec import Codec
    from channels.iso8583.errors import DialectError
    from channels.iso8583.load import load_dialect
    from channels.pos_simulator.load import Dial, Load
    from channels.pos_simulator.terminal import PosTerminal
    from channels.pos_simulator.world import CounterError, load_counter

    reactor: Any = _reactor
    host, _, port = args.connect.rpartition(":")
    if not host or not port.isdecimal():
        raise SystemExit(f"--connect {args.connect}: HOST:PORT is needed")
    try:
        counter = load_counter(args.counter)
        codec = Codec(load_dialect(args.dialect))
    except (CounterError, DialectError) as error:
        raise SystemExit(str(error)) from None
    # A run may not repeat numbers of the run before it: no terminal makes so many a second.
    first_stan = int(time.time() * STANS_PER_S) % 900_000
    run = Load(
        codec=codec,
        terminals=[PosTerminal(codec, key, first_stan) for key in counter.terminals],
        card=counter.card,
        links=args.links,
        rate=args.rate,
        seconds=args.seconds,
        in_flight=args.in_flight,
        reactor=reactor,
        tell=lambda line: print(line, file=sys.stderr, flush=True),
    )
    ends: list[object] = []
    run.done.addBoth(ends.append).addBoth(lambda _: reactor.stop())
    for _ in range(args.links):
        reactor.connectTCP(host, int(port), Dial(run))
    reactor.run()
    return _report(ends[0], args)


def _report(end: Any, args: argparse.Namespace) -> int:
    if not isinstance(end, msgspec.Struct):
        print(end.getErrorMessage(), file=sys.stderr)
        return 2
    values = msgspec.to_builtins(end)
    if args.json:
        print(json.dumps(values))
    else:
        for name, value in values.items():
            print(f"{name:<16}{value}")
    return 0 if values["approved"] == values["due"] else 1
