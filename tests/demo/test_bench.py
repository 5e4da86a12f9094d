"""The benches: what they print is complete and their books are right; never how fast."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

KEYS = {
    "payments_per_s",
    "own_ms_p50",
    "own_ms_p99",
    "cpu_ms_per_payment",
    "commits_per_payment",
    "pgbench_payments_per_s",
    "violations",
}


@pytest.mark.xdist_group("demo")
def test_bench_prints_its_figures_and_leaves_right_books(tmp_path: Path) -> None:
    """One short run: every key is there, four commits a payment, no violation, nothing left."""
    command = (sys.executable, "-m", "switch.cli", "bench", "payments")
    done = subprocess.run(
        (*command, "--seconds", "2", "--json", "--var", str(tmp_path)),
        capture_output=True,
        text=True,
        check=False,
        timeout=180,
    )

    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout.splitlines()[-1])
    assert result.keys() >= KEYS
    assert result["violations"] == 0
    assert result["flood"]["settled"] > 0
    assert 3.9 <= result["commits_per_payment"] <= 4.5
    assert not (tmp_path / "demo.json").exists()


BANK_KEYS = KEYS | {"p99_ms", "payments_per_s_two_nodes", "cpu_ms_per_payment_two_nodes", "codec"}
BANK_KEYS |= {"black_hole_p99_percent"}


@pytest.mark.xdist_group("demo")
def test_bench_bank_prints_its_figures_and_leaves_right_books(tmp_path: Path) -> None:
    """One short run with one switch and with two: every key is there, two commits a payment, every
    sale of the schedule approved, bank and journal agree to the 分 (I1)."""
    command = (sys.executable, "-m", "switch.cli", "bench", "bank")
    done = subprocess.run(
        (*command, "--seconds", "2", "--rate", "20", "--json", "--var", str(tmp_path)),
        capture_output=True,
        text=True,
        check=False,
        timeout=180,
    )

    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout.splitlines()[-1])
    assert result.keys() >= BANK_KEYS
    assert result["violations"] == 0
    assert result["steady"]["approved"] == 40
    assert result["black_hole"]["approved"] == 40
    assert result["two_nodes"]["approved"] > 0
    assert 1.9 <= result["steady"]["commits"] <= 2.2
    assert result["codec"].keys() == {"codec_ns", "pyiso8583_ns", "percent"}
