"""As many worlds as a stated time holds: ``python -m tests.sim.hunt --minutes 60 --processes 2``.

Prints what each bad seed found, and at the end the seeds per second. Exit code 1 when any was bad.
"""

import argparse
import gc
import multiprocessing
import sys
import time
from collections import Counter

from tests.sim.listening import listening
from tests.sim.world import play

_CHUNK = 25


def _chunk(first: int) -> tuple[list[str], Counter[str]]:
    """Play a few worlds: reports of the bad ones, and what the worlds held."""
    reports, counts = [], Counter[str]()
    gc.collect()
    gc.freeze()
    for seed in range(first, first + _CHUNK):
        with listening():
            gc.collect()  # what dead processes of the world before left dies here, not in this one
        with listening() as heard:
            try:
                result = play(seed)
            except Exception as error:  # a world that breaks is a finding like any other
                reports.append(f"SEED={seed}\n{type(error).__name__}: {error}")
                continue
            gc.collect(0)
        counts.update(result.counts)
        if result.violations or heard:
            reports.append("\n".join([*heard, result.report()]))
    return reports, counts


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description="Play seeded worlds for a stated time.")
    parser.add_argument("--minutes", type=float, required=True)
    parser.add_argument("--start", type=int, default=1_000_000, help="first seed")
    parser.add_argument("--processes", type=int, default=2)
    asked = parser.parse_args()
    began, bad, seeds, counts = time.monotonic(), 0, 0, Counter[str]()
    with multiprocessing.Pool(asked.processes, maxtasksperchild=100) as pool:
        chunks = range(asked.start, 2**62, _CHUNK)
        running = [pool.apply_async(_chunk, (chunks[n],)) for n in range(asked.processes * 2)]
        submitted = len(running)
        while running:
            reports, held = running.pop(0).get()
            seeds += _CHUNK
            bad += len(reports)
            counts.update(held)
            for report in reports:
                sys.stdout.write(f"{report}\n\n")
                sys.stdout.flush()
            if time.monotonic() - began < asked.minutes * 60:
                running.append(pool.apply_async(_chunk, (chunks[submitted],)))
                submitted += 1
    took_s = time.monotonic() - began
    shown = " ".join(f"{name}={count:,}" for name, count in sorted(counts.items()))
    sys.stdout.write(f"{shown}\n")
    sys.stdout.write(
        f"{seeds:,} seeds ({asked.start} to {asked.start + seeds - 1}) in {took_s:.0f} s: "
        f"{seeds / took_s:.1f} seeds/s, {bad} bad\n"
    )
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
