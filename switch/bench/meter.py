"""Readings from outside: CPU time of processes, own times from the switch's log."""

import json
import os
from pathlib import Path

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def cpu_ms(pid: int) -> int:
    """CPU milliseconds a process and its waited-for children have used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    return sum(int(fields[n]) for n in (11, 12, 13, 14)) * 1000 // _TICKS_PER_S


def tree_cpu_ms(pid: int) -> int:
    """As :func:`cpu_ms`, with its living children (PostgreSQL's backends)."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    total = cpu_ms(pid)
    for child in children:
        try:
            total += cpu_ms(int(child))
        except FileNotFoundError:
            continue
    return total


def own_times_ms(log: Path, start: int) -> list[int]:
    """Own time of every payment finished in ``log`` from byte ``start`` on, sorted."""
    with log.open("rb") as lines:
        lines.seek(start)
        events = (json.loads(line) for line in lines if b'"event":"payment"' in line)
        return sorted(event["total_ms"] - event["outside_ms"] for event in events)


def percentile(values: list[int], per_hundred: int) -> int:
    """Nearest rank; 0 of nothing."""
    if not values:
        return 0
    return values[min(len(values) - 1, len(values) * per_hundred // 100)]


def per(whole: int, count: int) -> float:
    """``whole`` shared by ``count``, to two decimals; 0 of nothing."""
    return round(whole / count, 2) if count else 0.0
