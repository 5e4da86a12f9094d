"""``yyt bench payments``: open-loop load through kiosk link, HSM, bank and HIS simulators.

Two stretches of the same length: one at STEADY_PER_S for the switch's own time, one at more than
the machine can do, held back by the in-flight limit, for the rate. Every process runs on this
machine. Afterwards the audit, and pgbench on the same server.
"""

import json
import platform
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

from msgspec import Struct

from switch.audit.cli import as_json
from switch.audit.sources import audit
from switch.bench import meter, pgbench
from switch.demo import programs, stage
from switch.demo.cards import LOAD_CARDS
from switch.demo.ports import free_ports
from switch.demo.processes import Supervisor
from switch.store.embedded import embedded_dsn
from switch.store.yardstick import commit_counts

STEADY_PER_S = 100
FLOOD_PER_S = 2_000
WARM_UP_S = 3
IN_FLIGHT = 64
READY_S = 60.0


class Stretch(Struct, frozen=True, kw_only=True):
    """What one stretch of load came to. Times in ms."""

    settled: int
    settled_per_s: float
    answered_per_s: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    own_ms_p50: int
    own_ms_p99: int
    cpu_ms: dict[str, float]
    """Process → CPU milliseconds per settled payment."""
    commits: float
    db_transactions: float


def run(folder: Path, seconds: int, tell: Callable[[str], None]) -> dict[str, Any]:
    """Everything, from an empty folder; the result's keys are those of docs/benchmarks.md."""
    setting = stage.Stage(folder=folder / "bench", ports=free_ports())
    supervisor = Supervisor(folder, tell)
    try:
        _raise_stage(setting, supervisor, tell)
        tell(f"warming up, {WARM_UP_S} s")
        _load(setting, STEADY_PER_S, WARM_UP_S)
        tell(f"{STEADY_PER_S} payments/s for {seconds} s")
        steady = _stretch(setting, supervisor, STEADY_PER_S, seconds)
        tell(f"as many as go with {IN_FLIGHT} in flight, {seconds} s")
        flood = _stretch(setting, supervisor, FLOOD_PER_S, seconds)
        tell("audit")
        supervisor.start(programs.Programs(setting, load=0).kiosks(), READY_S)
        story = audit(_addresses(setting))
        tell(f"pgbench, the same commits, {min(seconds, 10)} s")
        dsn = embedded_dsn(setting.postgres)
        rod = pgbench.payments_per_s(dsn, setting.folder, min(seconds, 10))
    finally:
        supervisor.stop()
    return {
        "payments_per_s": flood.settled_per_s,
        "own_ms_p50": steady.own_ms_p50,
        "own_ms_p99": steady.own_ms_p99,
        "cpu_ms_per_payment": flood.cpu_ms["switch"],
        "commits_per_payment": flood.commits,
        "pgbench_payments_per_s": rod,
        "violations": len(story.violations),
        "seconds": seconds,
        "steady": _builtins(steady),
        "flood": _builtins(flood),
        "audit": as_json(story),
        "machine": f"{platform.machine()}, {platform.system()} {platform.release()}",
        "python": platform.python_version(),
    }


def _raise_stage(setting: stage.Stage, supervisor: Supervisor, tell: Callable[[str], None]) -> None:
    tell("starting PostgreSQL, HSM, bank, HIS, switch")
    stage.clear(setting.folder)
    stage.make_outside(setting)
    supervisor.run()
    all_programs = programs.Programs(setting, load=0)
    supervisor.start(all_programs.foundation(), READY_S)
    stage.make_inside(setting)
    supervisor.start([all_programs.switch()], READY_S)
    stage.enrol(setting)


def _stretch(setting: stage.Stage, supervisor: Supervisor, rate: int, seconds: int) -> Stretch:
    dsn = embedded_dsn(setting.postgres)
    log = supervisor.log_of("switch")
    start = log.stat().st_size
    states, physical = commit_counts(dsn)
    before = {name: meter.tree_cpu_ms(pid) for name, pid in supervisor.pids().items()}
    report = _load(setting, rate, seconds)
    spent = {name: meter.tree_cpu_ms(pid) - before[name] for name, pid in supervisor.pids().items()}
    own = meter.own_times_ms(log, start)
    after_states, after_physical = commit_counts(dsn)
    settled = report["approved"]
    return Stretch(
        settled=settled,
        settled_per_s=report["approved_per_s"],
        answered_per_s=report["answered_per_s"],
        p50_ms=report["p50_ms"],
        p95_ms=report["p95_ms"],
        p99_ms=report["p99_ms"],
        own_ms_p50=meter.percentile(own, 50),
        own_ms_p99=meter.percentile(own, 99),
        cpu_ms={name: meter.per(used, settled) for name, used in spent.items()},
        commits=meter.per(after_states - states, settled),
        db_transactions=meter.per(after_physical - physical, settled),
    )


def _load(setting: stage.Stage, rate: int, seconds: int) -> dict[str, Any]:
    """One run of the load generator; its report."""
    done = subprocess.run(  # noqa: S603 - our own program
        stage.command(
            "agent", "load", "--config", str(setting.kiosk("kiosk-1") / "agent.yaml"),
            "--rate", str(rate), "--seconds", str(seconds), "--in-flight", str(IN_FLIGHT),
            "--cards", ",".join(LOAD_CARDS), "--json",
        ),
        check=False, capture_output=True, text=True, timeout=seconds + 120,
    )  # fmt: skip
    report: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return report


def _addresses(setting: stage.Stage) -> dict[str, dict[str, str]]:
    http = programs.http_addresses(setting, stage.KIOSKS)
    addresses = {name: {"http": url} for name, url in http.items()}
    addresses["postgres"] = {"dsn": embedded_dsn(setting.postgres)}
    return addresses


def _builtins(stretch: Stretch) -> dict[str, Any]:
    return {name: getattr(stretch, name) for name in stretch.__struct_fields__}
