"""The bench as a whole: windows, commands, CPU, and the bare ciphers beside them."""

import os
import platform
from collections.abc import Callable
from typing import Any, Final

from hsm.address import Address
from hsm.bench import bare
from hsm.bench.load import measure
from hsm.bench.own_daemon import OwnDaemon
from hsm.bench.workload import workloads

WINDOWS: Final = (1, 8, 64)
_WARM_UP_S: Final = 0.5
_COMMANDS_PER_PAYMENT: Final = 3

_ALLOW_LIST: Final = tuple(
    word for code in ("NC", "B2", "CA", "M6", "M8") for word in ("--allow-command", code)
)

Tell = Callable[[str], None]


def run_own(seconds: float, tell: Tell) -> dict[str, Any]:
    """Against a daemon of our own, with audit, allow-list and metrics on; each of the two has a
    processor core to itself where there are two. Raises DaemonFailedError, WrongAnswerError."""
    cores = sorted(os.sched_getaffinity(0))
    pinned = len(cores) > 1
    with OwnDaemon(_ALLOW_LIST, cores[-1] if pinned else None) as daemon:
        if pinned:
            os.sched_setaffinity(0, set(cores[:-1]))
        try:
            result = run(daemon.address, seconds, tell, daemon)
        finally:
            os.sched_setaffinity(0, set(cores))
    return {**result, "pinned": pinned}


def run(
    address: Address, seconds: float, tell: Tell, daemon: OwnDaemon | None = None
) -> dict[str, Any]:
    """Against any key service under the test LMK; CPU figures only for a daemon of our own."""
    prepared = workloads()
    windows: dict[str, Any] = {}
    for window in WINDOWS:
        windows[str(window)] = {}
        for name, exchanges in prepared.items():
            tell(f"{name}, {window} in flight")
            measure(address, exchanges, window, min(_WARM_UP_S, seconds))
            before = daemon.cpu_s() if daemon else 0.0
            measured = measure(address, exchanges, window, seconds)
            detail: dict[str, Any] = {
                "per_s": round(measured.per_s),
                "p50_ms": round(measured.p50 * 1000, 3),
                "p99_ms": round(measured.p99 * 1000, 3),
            }
            if daemon:
                spent_us = (daemon.cpu_s() - before) * 1_000_000
                detail["cpu_us"] = round(spent_us / measured.commands, 1)
            windows[str(window)][name] = detail
    tell("the ciphers alone")
    alone = {"ca_per_s": round(bare.ca_per_s(seconds)), "m6_per_s": round(bare.m6_per_s(seconds))}
    return _summary(windows, alone, seconds)


def _summary(windows: dict[str, Any], alone: dict[str, int], seconds: float) -> dict[str, Any]:
    full = windows[str(WINDOWS[-1])]
    ca, m6 = full["ca"], full["m6"]
    return {
        "ca_per_s": ca["per_s"],
        "m6_per_s": m6["per_s"],
        "payments_per_s": full["payment"]["per_s"] // _COMMANDS_PER_PAYMENT,
        "p99_ms": max(ca["p99_ms"], m6["p99_ms"]),
        "cpu_us_per_ca": ca.get("cpu_us"),
        "cpu_us_per_m6": m6.get("cpu_us"),
        "bare": alone,
        "ratio_ca": round(ca["per_s"] / alone["ca_per_s"], 3),
        "ratio_m6": round(m6["per_s"] / alone["m6_per_s"], 3),
        "windows": windows,
        "seconds": seconds,
        "machine": f"{platform.machine()}, {platform.system()} {platform.release()}",
        "python": platform.python_version(),
    }
