"""``yyt agent bench`` and ``yyt agent soak``."""

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

HOURS = 24
SEED = 1


def register(verbs: Any) -> None:
    """Add both verbs to ``yyt agent``."""
    bench = verbs.add_parser("bench", help="measure a kiosk with emulated devices, on Linux")
    bench.add_argument("--visits", type=int, default=100, help="patients; default 100")
    bench.add_argument("--taps", type=int, default=1000, help="default 1000")
    bench.add_argument("--cards", type=int, default=500, help="chip cards; default 500")
    bench.add_argument("--starts", type=int, default=5, help="cold starts; default 5")
    bench.add_argument("--json", action="store_true")
    bench.set_defaults(run=_bench)
    soak = verbs.add_parser("soak", help="a kiosk's day in minutes, its memory watched, on Linux")
    soak.add_argument("--hours", type=int, default=HOURS, help=f"simulated; default {HOURS}")
    soak.add_argument("--seed", type=int, default=SEED, help="who comes when")
    soak.add_argument("--json", action="store_true")
    soak.set_defaults(run=_soak)


def _bench(args: argparse.Namespace) -> int:
    """0: measured, whatever the figures say."""
    from twisted.internet import reactor
    from twisted.internet.defer import Deferred
    from twisted.python.failure import Failure

    from terminal_agent.bench.figures import Bench, Sizes, judged

    sizes = Sizes(visits=args.visits, taps=args.taps, cards=args.cards, starts=args.starts)
    if min(sizes.visits, sizes.taps, sizes.cards, sizes.starts) < 1:
        raise SystemExit("--visits, --taps, --cards and --starts must be at least 1")
    turning: Any = reactor
    ends: list[Any] = []

    def ended(end: Any) -> None:
        ends.append(end)
        turning.stop()

    with tempfile.TemporaryDirectory(prefix="yyt-agent-") as folder:
        bench = Bench(turning, Path(folder), sizes, _teller())
        turning.callWhenRunning(lambda: Deferred.fromCoroutine(bench.run()).addBoth(ended))
        turning.run()
    if not ends:
        return 130
    if isinstance(ends[0], Failure):
        ends[0].raiseException()
    found = ends[0]
    if args.json:
        print(json.dumps(found | {"goals": judged(found)}))
        return 0
    for line in judged(found):
        goal = f"<= {line['goal']:g} {line['unit']}"
        met = "met" if line["met"] else "missed"
        print(f"{line['title']:<62} {line['measured']:>8} {goal:<12} {met}")
    for name, value in found.items():
        print(f"{name:<24} {value}")
    return 0


def _soak(args: argparse.Namespace) -> int:
    """0: memory is flat, no error, nothing left open."""
    from terminal_agent.bench.soak import soaked

    if args.hours < 1:
        raise SystemExit("--hours: at least 1")
    with tempfile.TemporaryDirectory(prefix="yyt-agent-") as folder:
        result = soaked(Path(folder), args.hours, args.seed, _teller())
    if args.json:
        print(json.dumps(result))
    else:
        _show(result)
    return 0 if result["ok"] else 1


def _show(result: dict[str, Any]) -> None:
    for name, value in result.items():
        if name == "samples":
            for sample in value:
                print("  ".join(f"{key} {number}" for key, number in sample.items()))
        elif name == "outcomes":
            for outcome, count in value.items():
                print(f"{outcome:<32} {count}")
        else:
            print(f"{name:<20} {value}")


def _teller() -> Any:
    began = time.monotonic()

    def tell(text: str) -> None:
        print(f"{time.monotonic() - began:6.1f} s  {text}", file=sys.stderr, flush=True)

    return tell
