"""``yyt bench payments`` and ``yyt bench bank``."""

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

EXAMPLE = """examples:
  yyt bench payments
  yyt bench payments --seconds 60 --json
"""

BANK_EXAMPLE = """examples:
  yyt bench bank
  yyt bench bank --rate 600 --seconds 60 --json
"""

SECONDS = 20
RATE = 300


def register(parser: argparse.ArgumentParser) -> None:
    """The benches by name."""
    parser.description = "Measure on this machine, against the simulators, on loopback only."
    parser.epilog = EXAMPLE
    verbs = parser.add_subparsers(required=True, metavar="WHAT")
    payments = verbs.add_parser(
        "payments",
        help="kiosk link, HSM, bank and HIS simulators, every process on this machine",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    payments.add_argument("--seconds", type=int, default=SECONDS, help=f"default {SECONDS}")
    payments.add_argument("--json", action="store_true", help="the last line is one JSON object")
    payments.add_argument("--var", type=Path, default=Path("var/bench"), help="working folder")
    payments.set_defaults(run=_payments)

    bank = verbs.add_parser(
        "bank",
        help="ISO 8583 in from counter POS and out to a bank, every process on this machine",
        epilog=BANK_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    bank.add_argument("--seconds", type=int, default=SECONDS, help=f"default {SECONDS}")
    bank.add_argument("--rate", type=int, default=RATE, help=f"payments/s, default {RATE}")
    bank.add_argument("--json", action="store_true", help="the last line is one JSON object")
    bank.add_argument("--var", type=Path, default=Path("var/bench"), help="working folder")
    bank.set_defaults(run=_bank)


def _bank(args: argparse.Namespace) -> int:
    """0: measured and no violation; 1: violations."""
    from switch.bench.bank import run

    _positive("--rate", args.rate)
    return _measure(args, lambda tell: run(args.var.absolute(), args.seconds, args.rate, tell))


def _payments(args: argparse.Namespace) -> int:
    """0: measured and no violation; 1: violations."""
    from switch.bench.payments import run

    return _measure(args, lambda tell: run(args.var.absolute(), args.seconds, tell))


def _measure(
    args: argparse.Namespace, run: Callable[[Callable[[str], None]], dict[str, Any]]
) -> int:
    _positive("--seconds", args.seconds)
    started = time.monotonic()

    def tell(text: str) -> None:
        print(f"{time.monotonic() - started:6.1f} s  {text}", file=sys.stderr, flush=True)

    result = run(tell)
    if args.json:
        print(json.dumps(result))
    else:
        _show(result)
    return 1 if result["violations"] else 0


def _positive(option: str, value: int) -> None:
    if value < 1:
        raise SystemExit(f"{option}: at least 1")


def _show(result: dict[str, Any]) -> None:
    for name, value in result.items():
        if not isinstance(value, dict):
            print(f"{name:<30}{value}")
    for name, value in result.items():
        if isinstance(value, dict):
            print(f"{name}:")
            for inner, figure in value.items():
                print(f"  {inner:<22}{figure}")
