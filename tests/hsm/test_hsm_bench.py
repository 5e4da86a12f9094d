"""``yyt hsm bench``: what it measures is right, and it says so in the promised shape."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hsm.bench import bare, load
from hsm.bench.cli import register
from hsm.bench.own_daemon import DaemonFailedError, OwnDaemon
from hsm.bench.workload import HEADER_LENGTH, MESSAGE_BYTES, TERMINALS, terminals, workloads
from hsm.testing import local_processor

KEYS = {
    "ca_per_s", "m6_per_s", "payments_per_s", "p99_ms", "cpu_us_per_ca", "cpu_us_per_m6", "bare",
    "ratio_ca", "ratio_m6", "windows", "seconds", "machine", "python",
}  # fmt: skip


def bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    """The command, as a user runs it."""
    command = [sys.executable, "-m", "switch.cli", "hsm", "bench", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def test_the_bench_prints_the_promised_figures() -> None:
    """A moment each against its own daemon: every window, command and key is there; the answers
    were all right, or it would have failed."""
    done = bench("--seconds", "0.2", "--json")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)

    assert result.keys() >= KEYS
    assert set(result["windows"]) == {"1", "8", "64"}
    for window in result["windows"].values():
        assert set(window) == {"ca", "m6", "payment"}
        for detail in window.values():
            assert 0 < detail["p50_ms"] <= detail["p99_ms"]
            assert detail["per_s"] > 0
            assert detail["cpu_us"] >= 0
    assert result["ca_per_s"] == result["windows"]["64"]["ca"]["per_s"]
    assert result["p99_ms"] >= result["windows"]["64"]["m6"]["p99_ms"]


def test_the_workload_is_what_it_says() -> None:
    """64 terminals with keys of their own; X9.19 over 300 bytes; M8, CA and M6 a payment; each
    right answer is the processor's own."""
    prepared = workloads()
    assert {name: len(exchanges) for name, exchanges in prepared.items()} == {
        "ca": TERMINALS,
        "m6": TERMINALS,
        "payment": 3 * TERMINALS,
    }
    assert len({terminal.tpk for terminal in terminals()}) == TERMINALS
    assert all(len(terminal.message) == MESSAGE_BYTES for terminal in terminals())
    codes = [exchange.request[6:8] for exchange in prepared["payment"][:3]]
    assert codes == [b"M8", b"CA", b"M6"]
    processor = local_processor(bytes)
    for exchanges in prepared.values():
        for exchange in exchanges:
            answer = processor.answer(exchange.request[2:]).frame
            assert exchange.answer[2:] == answer
            assert answer[HEADER_LENGTH + 2 :].startswith(b"00")


def test_the_bare_rates_are_of_the_same_work() -> None:
    """They are rates: something was done in the time."""
    assert bare.ca_per_s(0.02) > 0
    assert bare.m6_per_s(0.02) > 0


def test_a_wrong_answer_ends_the_bench() -> None:
    """Speed without the right answer is worth nothing."""
    right = workloads()["ca"]
    spoiled = [right[0]._replace(answer=right[0].answer[:-1] + b"X"), *right[1:]]
    with OwnDaemon() as daemon, pytest.raises(load.WrongAnswerError):
        load.measure(daemon.address, spoiled, 8, 0.2)


def test_another_lmk_or_nobody_is_told(free_address: Callable[[], str]) -> None:
    """--connect to where nobody listens: exit code 1 and a sentence."""
    done = bench("--seconds", "1", "--connect", free_address())

    assert done.returncode == 1
    assert done.stderr
    assert not done.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ("--seconds", "0"),
        ("--seconds", "nan"),
        ("--connect", "tls:10.0.0.7:1500"),
        ("--connect", "nonsense"),
    ],
)
def test_a_wrong_option_is_exit_code_2(arguments: tuple[str, ...]) -> None:
    """Before anything is started."""
    assert bench(*arguments).returncode == 2


def test_a_daemon_that_does_not_come_up_is_told() -> None:
    """Its own words are in the error; nothing is left behind."""
    daemon = OwnDaemon(("--nonsense",))
    with pytest.raises(DaemonFailedError, match="nonsense"):
        daemon.__enter__()

    assert not daemon.alive
    assert not daemon.folder.exists()


def test_its_process_can_be_watched() -> None:
    """CPU seconds, memory, log events; after the end it is gone."""
    with OwnDaemon() as daemon:
        assert daemon.cpu_s() > 0
        assert daemon.resident_bytes() > 1_000_000
        assert [event["event"] for event in daemon.events("ready")] == ["ready"]
    assert not daemon.alive
    with pytest.raises(DaemonFailedError):
        daemon.cpu_s()


def test_both_verbs_explain_themselves(capsys: Any) -> None:
    """Help with examples."""
    import argparse

    parser = argparse.ArgumentParser()
    register(parser.add_subparsers())
    for verb in ("bench", "soak"):
        with pytest.raises(SystemExit):
            parser.parse_args([verb, "--help"])
        assert f"yyt hsm {verb}" in capsys.readouterr().out


@pytest.fixture
def free_address(tmp_path: Path) -> Callable[[], str]:
    """A socket path where nobody listens."""
    return lambda: f"unix:{tmp_path / 'nobody.sock'}"
