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

SECONDS = 3


def register(verbs: Any) -> None:
    """Add the two verbs to ``yyt hsm``."""
    _register_bench(verbs.add_parser("bench", help="测量性能 measure rates, times and CPU"))


def _register_bench(parser: argparse.ArgumentParser) -> None:
    parser.description = "Measure a key service under the test LMK: CA, M6, payments (M8, CA, M6)."
    parser.epilog = _BENCH
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--connect", type=_address, metavar="ADDRESS", help="tcp: or unix:")
    parser.add_argument("--seconds", type=int, default=SECONDS, help=f"each, default {SECONDS}")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    parser.set_defaults(run=_bench)


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

    if args.seconds < 1:
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
