"""``yyt hsm soak``, shortened: a daemon under rough use; and that the soak sees what it must."""

import json
import subprocess
import sys
from typing import Any

import pytest

from hsm.soak import run as soak_run
from hsm.soak.run import Soak
from hsm.soak.traffic import SOUND, Traffic

SOCKETS_MAX = 80


def quiet(_text: str) -> None:
    """Progress that nobody reads."""


def test_twenty_thousand_rough_commands() -> None:
    """64 connections, all kinds of bad manners, no wrong answer, no fault, flat memory."""
    command = [sys.executable, "-m", "switch.cli", "hsm", "soak", "--commands", "20000", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    result = json.loads(done.stdout)

    assert result["ok"], result
    assert done.returncode == 0
    assert result["commands"] >= 20_000
    assert result["connected"] > 64
    assert all(count > 0 for count in result["rude"].values())


def test_a_wrong_answer_is_seen(monkeypatch: Any) -> None:
    """One spoiled expectation among the rest: not ok, and told without content."""
    real = Traffic.next
    asked = [0]

    def spoiled(traffic: Traffic) -> tuple[bytes, bytes]:
        body, answer = real(traffic)
        asked[0] += 1
        return (body, answer + b"X") if asked[0] == 100 else (body, answer)

    monkeypatch.setattr(Traffic, "next", spoiled)
    result = Soak(400, 4, 1, quiet).run()

    assert not result["ok"]
    assert result["wrong"] == 1
    assert result["wrong_first"][0].endswith("bytes")


def test_memory_that_grows_is_seen(monkeypatch: Any) -> None:
    """A limit below zero stands for a leak."""
    monkeypatch.setattr(soak_run, "GROWTH_BYTES_MAX", -1)

    assert not Soak(200, 2, 1, quiet).run()["ok"]


def test_the_same_seed_is_the_same_conversation() -> None:
    """A failure can be repeated; another seed is another mix, with spoiled commands in it."""
    one, two, other = (Traffic(seed, SOCKETS_MAX) for seed in (7, 7, 8))
    first = [one.next() for _ in range(3 * SOUND)]
    assert first == [two.next() for _ in range(3 * SOUND)]
    assert first != [other.next() for _ in range(3 * SOUND)]
    errors = {answer[2:4] for _, answer in first}

    assert {b"00", b"01", b"15"} <= errors
    assert b"41" not in errors, "no fault of ours behind any of them"


@pytest.mark.parametrize("option", ["--commands", "--connections"])
def test_a_count_of_zero_is_refused(option: str) -> None:
    """Exit code 2 before anything is started."""
    command = [sys.executable, "-m", "switch.cli", "hsm", "soak", option, "0"]
    assert subprocess.run(command, capture_output=True, timeout=60, check=False).returncode == 2
