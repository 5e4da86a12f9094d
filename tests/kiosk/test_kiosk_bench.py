"""``yyt agent bench`` and ``yyt agent soak``, shortened: they run, and see what they must. What is
measured is no part of a test."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from terminal_agent.bench import soak as soak_module
from terminal_agent.bench.figures import GOALS, percentile
from terminal_agent.bench.patient import Kind
from terminal_agent.bench.soak import SHARES, Soak
from terminal_agent.slips import Slips

SMALL = ("--visits", "2", "--taps", "8", "--cards", "5", "--starts", "1")
FIGURES = {
    "arqc_own_ms_p50", "arqc_own_ms_p99", "cards", "cold_start_s", "cold_start_s_p50", "starts",
    "rss_start_mib", "rss_slip_mib", "pillow_before_picture", "rss_picture_mib",
    "pillow_after_picture", "tap_ms_p50", "tap_ms_p99", "taps", "rss_visits_mib", "visits",
}  # fmt: skip


def agent(*arguments: str) -> subprocess.CompletedProcess[str]:
    """The command, as a user runs it."""
    command = [sys.executable, "-m", "switch.cli", "agent", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


def quiet(_text: str) -> None:
    """Progress that nobody reads."""


def test_every_figure_is_printed() -> None:
    """A real agent, real patients at its page, and each goal judged; Pillow waits for a picture."""
    done = agent("bench", *SMALL, "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)

    assert set(found) == FIGURES | {"goals"}
    assert [goal["figure"] for goal in found["goals"]] == list(GOALS)
    assert all(found[name] > 0 for name in GOALS)
    assert (found["pillow_before_picture"], found["pillow_after_picture"]) == (False, True)
    assert (found["visits"], found["taps"], found["cards"]) == (2, 8, 5)


def test_an_hour_of_patients() -> None:
    """Everybody comes to an end, no payment stays open, nothing is logged as a defect."""
    done = agent("soak", "--hours", "1", "--seed", "3", "--json")
    found = json.loads(done.stdout)

    assert done.returncode == 0, found
    assert found["visits"] >= 40
    assert (found["open"], found["errors"]) == (0, 0)
    assert {sample["hour"] for sample in found["samples"]} >= {0.5}
    assert sum(found["outcomes"].values()) == found["visits"]


@pytest.mark.parametrize(
    ("kind", "outcome"),
    [
        (Kind.PAYS, "approved"),
        (Kind.WRONG_PIN, "approved"),
        (Kind.FORGOT_PIN, "declined"),
        (Kind.NO_MONEY, "declined"),
        (Kind.NOT_KNOWN, "approved"),
        (Kind.NO_PAPER, "approved"),
        (Kind.LINE_CUT, "approved"),
        (Kind.CANCELS, "left"),
        (Kind.LEAVES_EARLY, "left"),
        (Kind.LEAVES_AT_CARD, "cancelled"),
        (Kind.LEAVES_AT_PIN, "cancelled"),
        (Kind.PULLS_CARD, "failed"),
    ],
)
def test_each_kind_of_patient(
    kind: Kind, outcome: str, tmp_path: Path, monkeypatch: Any, capsys: Any
) -> None:
    """An hour of this kind alone ends as it must, and the kiosk serves the next one."""
    monkeypatch.setattr(soak_module, "SHARES", {kind: 1})
    monkeypatch.setattr(soak_module, "EVERY_MS", 600_000)
    found = Soak(tmp_path, 1, 1, quiet).run()

    assert set(found["outcomes"]) == {f"{kind}: {outcome}"}
    assert (found["open"], found["visits"]) == (0, 7)
    assert "[error" not in capsys.readouterr().out
    assert kind in SHARES


def test_memory_that_grows_is_seen(tmp_path: Path, monkeypatch: Any) -> None:
    """An agent that keeps what it printed is not flat."""
    kept: list[object] = []
    real = Slips.text

    def keeping(slips: Slips, key: str, **how: Any) -> str:
        kept.extend(object() for _ in range(500))
        return real(slips, key, **how)

    monkeypatch.setattr(Slips, "text", keeping)
    monkeypatch.setattr(soak_module, "SHARES", {Kind.PAYS: 1})
    found = Soak(tmp_path, 1, 1, quiet).run()

    assert not found["ok"]
    assert found["blocks_growth"] > soak_module.BLOCKS_GROWTH_MAX


def test_a_count_of_zero_is_refused() -> None:
    """Exit code 2 before anything is started."""
    assert agent("soak", "--hours", "0").returncode == 2
    assert agent("bench", "--taps", "0").returncode == 2


def test_percentiles_are_nearest_rank() -> None:
    """Of one value, of a hundred."""
    assert percentile([3.0], 99) == 3.0
    assert percentile([float(n) for n in range(100)], 50) == 50.0
    assert percentile([float(n) for n in range(100)], 99) == 99.0
