"""``yyt bench payments``."""

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

EXAMPLE = """examples:
  yyt bench payments
  yyt bench payments --seconds 60 --json
"""

SECONDS = 20


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


def _payments(args: argparse.Namespace) -> int:
    """0: measured and no violation; 1: violations."""
    from switch.bench.payments import run

    if args.seconds < 1:
        raise SystemExit("--seconds: at least 1")
    started = time.monotonic()

    def tell(text: str) -> None:
        print(f"{time.monotonic() - started:6.1f} s  {text}", file=sys.stderr, flush=True)

    result = run(args.var.absolute(), args.seconds, tell)
    if args.json:
        print(json.dumps(result))
    else:
        _show(result)
    return 1 if result["violations"] else 0


def _show(result: dict[str, Any]) -> None:
    flat = {name: value for name, value in result.items() if not isinstance(value, dict)}
    for name, value in flat.items():
        print(f"{name:<24}{value}")
    for stretch in ("steady", "flood"):
        print(f"{stretch}:")
        for name, value in result[stretch].items():
            print(f"  {name:<22}{value}")
