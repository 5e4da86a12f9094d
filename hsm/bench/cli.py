"""``yyt hsm bench`` and ``yyt hsm soak``."""

import argparse
import json
import sys
from typing import Any

from hsm.address import Address, parse_address
from hsm.texts import say

_BENCH = """examples:
  yyt hsm bench
  yyt hsm bench --json --seconds 10
  yyt hsm bench --connect tcp:127.0.0.1:1500

Without --connect it starts a daemon of its own, with audit, allow-lists and metrics on."""

_SOAK = """examples:
  yyt hsm soak
  yyt hsm soak --commands 20000 --connections 64 --json

It starts a daemon of its own, asks mixed commands from many connections with broken, oversized and
half-sent frames and sudden disconnects among them, checks every answer, watches the daemon's
memory, and stops by itself. Exit code 1: a wrong answer, a fault, or memory that grew."""

SECONDS = 3.0
SECONDS_MIN = 0.1
COMMANDS = 1_000_000
CONNECTIONS = 64


def register(verbs: Any) -> None:
    """Add the two verbs to ``yyt hsm``."""
    _register_bench(verbs.add_parser("bench", help="测量性能 measure rates, times and CPU"))
    _register_soak(verbs.add_parser("soak", help="长时间混合测试 a long, rough conversation"))


def _register_bench(parser: argparse.ArgumentParser) -> None:
    parser.description = "Measure a key service under the test LMK: CA, M6, payments (M8, CA, M6)."
    parser.epilog = _BENCH
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--connect", type=_address, metavar="ADDRESS", help="tcp: or unix:")
    parser.add_argument("--seconds", type=float, default=SECONDS, help=f"each, default {SECONDS}")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    parser.set_defaults(run=_bench)


def _register_soak(parser: argparse.ArgumentParser) -> None:
    parser.description = "Have a daemon prove itself over many mixed and spoiled commands."
    parser.epilog = _SOAK
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--commands", type=int, default=COMMANDS, help=f"default {COMMANDS}")
    parser.add_argument(
        "--connections", type=int, default=CONNECTIONS, help=f"default {CONNECTIONS}"
    )
    parser.add_argument("--seed", type=int, default=1, help="of the mix, default 1")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    parser.set_defaults(run=_soak)


def _address(text: str) -> Address:
    try:
        address = parse_address(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    if address.tls:
        raise argparse.ArgumentTypeError(say("bench_no_tls"))
    return address


def _bench(args: argparse.Namespace) -> int:
    from hsm.bench.load import WrongAnswerError
    from hsm.bench.own_daemon import DaemonFailedError
    from hsm.bench.run import run, run_own

    if not args.seconds >= SECONDS_MIN:
        raise SystemExit(say("bench_seconds"))
    try:
        if args.connect is None:
            result = run_own(args.seconds, _tell)
        else:
            result = run(args.connect, args.seconds, _tell)
    except (WrongAnswerError, DaemonFailedError) as error:
        print(say("bench_failed", error), file=sys.stderr)
        return 1
    except OSError as error:
        print(say("cannot_reach", error), file=sys.stderr)
        return 1
    if args.json:
        print(json.dumps(result))
    else:
        _show(result)
    return 0


def _soak(args: argparse.Namespace) -> int:
    from hsm.bench.own_daemon import DaemonFailedError
    from hsm.soak.run import Soak

    if args.commands < 1 or args.connections < 1:
        raise SystemExit(say("soak_counts"))
    try:
        result = Soak(args.commands, args.connections, args.seed, _tell).run()
    except (DaemonFailedError, OSError) as error:
        print(say("bench_failed", error), file=sys.stderr)
        return 1
    if args.json:
        print(json.dumps(result))
    else:
        for name, value in result.items():
            print(f"{name:<16}{value}")
    return 0 if result["ok"] else 1


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _show(result: dict[str, Any]) -> None:
    for name, value in result.items():
        if not isinstance(value, dict):
            print(f"{name:<16}{value}")
    print(f"bare            CA {result['bare']['ca_per_s']}/s, M6 {result['bare']['m6_per_s']}/s")
    print(f"{'in flight':<12}{'command':<10}{'per s':>8}{'p50 ms':>10}{'p99 ms':>10}{'CPU µs':>10}")
    for window, commands in result["windows"].items():
        for name, detail in commands.items():
            print(
                f"{window:<12}{name:<10}{detail['per_s']:>8}{detail['p50_ms']:>10}"
                f"{detail['p99_ms']:>10}{detail.get('cpu_us', '-'):>10}"
            )
