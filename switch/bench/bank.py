"""``yyt bench bank``: ISO 8583 in from counter POS, out to a bank, and back.

POS -> MAC verified -> journaled -> PIN translated -> bank -> journaled -> answered, with every
process of it on this machine: PostgreSQL, HSM, bank simulator, the switch and the POS that load it.
Four stretches: at a chosen rate for the times; the same while a second bank takes what it is sent
and says nothing; at more than the machine can do for the rate; and that with two switches on one
PostgreSQL. Afterwards every book is compared.
"""

import json
import platform
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from msgspec import Struct

from switch.bench import counter_stage, meter, pgbench
from switch.bench.far_bank import FarBank, net_fen_of
from switch.demo import programs, stage
from switch.demo.ports import free_ports
from switch.demo.processes import Program, Supervisor
from switch.store.embedded import embedded_dsn
from switch.store.yardstick import commit_counts, unfinished_payments

FLOOD_PER_S = 2_000
WARM_UP_S = 3
IN_FLIGHT = 64
READY_S = 60.0
SETTLE_S = 60.0
PGBENCH_S = 10


class Stretch(Struct, frozen=True, kw_only=True):
    """What one stretch of load came to. Times in ms, from when a sale was due to its answer at the
    POS: in a flood they tell how late it was begun, and no more."""

    approved: int
    approved_per_s: float
    declined: int
    unanswered: int
    p50_ms: float
    p95_ms: float
    p99_ms: float
    own_ms_p50: int
    own_ms_p99: int
    """The first switch's own time: a payment's time without the bank's."""
    cpu_ms: dict[str, float]
    """Process -> CPU milliseconds per approved payment."""
    commits: float
    db_transactions: float


def run(folder: Path, seconds: int, rate: int, tell: Callable[[str], None]) -> dict[str, Any]:
    """Everything, from an empty folder; the result's keys are those of docs/benchmarks.md."""
    setting = stage.Stage(folder=folder / "bench", ports=free_ports())
    nodes = counter_stage.nodes_of(2)
    doors = {node: counter_stage.free_port() for node in nodes}
    far = FarBank(setting)
    supervisor = Supervisor(folder, tell)
    try:
        tell("starting PostgreSQL, HSM, banks, switch")
        _raise_stage(setting, supervisor, nodes, doors, far)
        tell(f"warming up, {WARM_UP_S} s")
        one = doors | {nodes[1]: 0}
        _load(setting, one, rate, WARM_UP_S)
        tell(f"{rate} payments/s for {seconds} s")
        steady = _stretch(setting, supervisor, one, rate, seconds)
        tell(f"the same beside a bank that says nothing, {seconds} s")
        with far.silent(doors[nodes[0]], seconds):
            beside = _stretch(setting, supervisor, one, rate, seconds)
        tell(f"as many as go with {IN_FLIGHT} in flight, {seconds} s")
        flood = _stretch(setting, supervisor, one, FLOOD_PER_S, seconds)
        tell("a second switch on the same PostgreSQL")
        supervisor.start([_switch(setting, nodes[1], doors[nodes[1]])], READY_S)
        _load(setting, doors, rate, WARM_UP_S)
        pair = _stretch(setting, supervisor, doors, FLOOD_PER_S, seconds)
        tell("comparing the books")
        violations = _violations(setting, far)
        tell(f"pgbench, {min(seconds, PGBENCH_S)} s")
        dsn = embedded_dsn(setting.postgres)
        rod = pgbench.payments_per_s(dsn, setting.folder, min(seconds, PGBENCH_S))
    finally:
        supervisor.stop()
    return {
        "payments_per_s": flood.approved_per_s,
        "p50_ms": steady.p50_ms,
        "p99_ms": steady.p99_ms,
        "own_ms_p50": steady.own_ms_p50,
        "own_ms_p99": steady.own_ms_p99,
        "cpu_ms_per_payment": flood.cpu_ms[nodes[0]],
        "commits_per_payment": flood.commits,
        "pgbench_payments_per_s": rod,
        "payments_per_s_two_nodes": pair.approved_per_s,
        "cpu_ms_per_payment_two_nodes": round(sum(pair.cpu_ms[node] for node in nodes), 2),
        "black_hole_p99_percent": round(100 * beside.p99_ms / max(steady.p99_ms, 0.1), 1),
        "codec": codec_times(),
        "violations": violations,
        "seconds": seconds,
        "rate": rate,
        "in_flight": IN_FLIGHT,
        "steady": _builtins(steady),
        "black_hole": _builtins(beside),
        "flood": _builtins(flood),
        "two_nodes": _builtins(pair),
        "machine": f"{platform.machine()}, {platform.system()} {platform.release()}",
        "python": platform.python_version(),
    }


def codec_times() -> dict[str, Any]:
    """Encode + decode of a sale of 22 elements, ours and pyiso8583 alone, in one run."""
    done = subprocess.run(
        (sys.executable, "-m", "channels.iso8583.codec_bench"),
        check=True, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    times: dict[str, Any] = json.loads(done.stdout)
    return times


def _raise_stage(
    setting: stage.Stage,
    supervisor: Supervisor,
    nodes: tuple[str, ...],
    doors: dict[str, int],
    far: FarBank,
) -> None:
    stage.clear(setting.folder)
    counter_stage.make_outside(setting)
    supervisor.run()
    foundation = programs.Programs(setting, load=0).foundation()
    near = [one for one in foundation if one.name != "his"]
    supervisor.start([*near, far.program()], READY_S)
    counter_stage.make_inside(setting, nodes, doors, far.port)
    supervisor.start([_switch(setting, nodes[0], doors[nodes[0]])], READY_S)


def _switch(setting: stage.Stage, node: str, door: int) -> Program:
    config = str(setting.folder / f"{node}.yaml")
    return Program(
        name=node,
        argv=programs.FIRST + stage.command("switch", "--config", config),
        addresses=lambda: {"pos": f"127.0.0.1:{door}"},
        ready=programs.listens(door),
    )


def _stretch(
    setting: stage.Stage, supervisor: Supervisor, doors: dict[str, int], rate: int, seconds: int
) -> Stretch:
    dsn = embedded_dsn(setting.postgres)
    log = supervisor.log_of(counter_stage.nodes_of(1)[0])
    start = log.stat().st_size
    states, physical = commit_counts(dsn)
    before = {name: meter.tree_cpu_ms(pid) for name, pid in supervisor.pids().items()}
    reports = _load(setting, doors, rate, seconds)
    spent = {name: meter.tree_cpu_ms(pid) - before[name] for name, pid in supervisor.pids().items()}
    after_states, after_physical = commit_counts(dsn)
    own = meter.own_times_ms(log, start)
    approved = sum(report["approved"] for report in reports)
    return Stretch(
        approved=approved,
        approved_per_s=round(sum(report["approved_per_s"] for report in reports), 1),
        declined=sum(report["declined"] for report in reports),
        unanswered=sum(report["unanswered"] for report in reports),
        p50_ms=max(report["p50_ms"] for report in reports),
        p95_ms=max(report["p95_ms"] for report in reports),
        p99_ms=max(report["p99_ms"] for report in reports),
        own_ms_p50=meter.percentile(own, 50),
        own_ms_p99=meter.percentile(own, 99),
        cpu_ms={name: meter.per(used, approved) for name, used in spent.items()},
        commits=meter.per(after_states - states, approved),
        db_transactions=meter.per(after_physical - physical, approved),
    )


def _load(
    setting: stage.Stage, doors: dict[str, int], rate: int, seconds: int
) -> list[dict[str, Any]]:
    """One run of the POS at every door that is open, at once; their reports."""
    opened = {node: door for node, door in doors.items() if door}
    reports: list[dict[str, Any]] = []

    def one(node: str, door: int) -> None:
        done = subprocess.run(  # noqa: S603 - our own program
            stage.command(
                "pos", "load", "--connect", f"127.0.0.1:{door}",
                "--counter", str(setting.folder / f"{node}-counter.yaml"),
                "--rate", str(rate // len(opened)), "--seconds", str(seconds),
                "--in-flight", str(IN_FLIGHT // len(opened)), "--json",
            ),
            check=False, capture_output=True, text=True, timeout=seconds + 120,
        )  # fmt: skip
        if not done.stdout:
            raise RuntimeError(f"the load at {node} failed: {done.stderr}")
        reports.append(json.loads(done.stdout.splitlines()[-1]))

    threads = [threading.Thread(target=one, args=pair) for pair in opened.items()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if len(reports) < len(opened):
        raise RuntimeError("a load has no report")
    return reports


def _violations(setting: stage.Stage, far: FarBank) -> int:
    """Payments that are not at rest, and 分 by which banks and journal differ (I1)."""
    unfinished, net_fen = unfinished_payments(embedded_dsn(setting.postgres), SETTLE_S)
    at_banks_fen = net_fen_of(setting.ports.bank_http) + far.net_fen()
    return unfinished + abs(at_banks_fen - net_fen)


def _builtins(stretch: Stretch) -> dict[str, Any]:
    return {name: getattr(stretch, name) for name in stretch.__struct_fields__}
