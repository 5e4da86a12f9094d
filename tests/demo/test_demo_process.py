"""Goal: ``yyt demo`` keeps its word: it plays, it survives kills, it leaves nothing behind."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from switch.demo.cards import CARDS
from switch.demo.scenes import get
from tests.canary.bench import SPARED
from tests.canary.scanner import Hit, Scanner, files

pytestmark = pytest.mark.xdist_group("demo")

NAMES = ("postgres", "hsm", "bank", "his", "switch", "kiosk-1", "kiosk-2", "kiosk-3")
RUNS = {
    "postgres": ("postgres", "-D"),
    "hsm": ("hsm", "serve"),
    "bank": ("bank", "simulate"),
    "his": ("his", "simulate"),
    "switch": ("switch", "--config"),
    "kiosk-1": ("agent", "kiosk-1"),
    "kiosk-2": ("agent", "kiosk-2"),
    "kiosk-3": ("agent", "kiosk-3"),
}
"""Words of each process's command line."""
UP_S = 90.0
BACK_S = 60.0
DOWN_S = 10.0
YYT = (sys.executable, "-m", "switch.cli")


class Demo:
    """A demo in a process group of its own, as a terminal would start it."""

    def __init__(self, var: Path, *arguments: str) -> None:
        self.var = var
        self.log = var.with_suffix(".out")
        with self.log.open("ab") as out:
            self.process = subprocess.Popen(
                [*YYT, "demo", "--var", str(var), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )

    def listed(self) -> dict[str, dict[str, Any]]:
        """Name → process, as ``demo.json`` has it now."""
        processes = json.loads((self.var / "demo.json").read_text("utf-8"))["processes"]
        return {process["name"]: process for process in processes}

    def pids(self) -> dict[str, int]:
        """Name → pid."""
        return {name: process["pid"] for name, process in self.listed().items()}

    def wait_for(self, *names: str) -> None:
        """Until ``demo.json`` lists all of ``names``."""
        until(lambda: set(names) <= set(self.listed()), UP_S, f"{names} listed", self.log)

    def kill_if_left(self) -> None:
        """For a test that failed: its children go with it."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()


def until(true: Callable[[], bool], wait_s: float, what: str, log: Path | None = None) -> None:
    """Wait for it; what is not there yet is looked at again."""
    end = time.monotonic() + wait_s
    while True:
        try:
            if true():
                return
        except OSError:
            pass
        said = log.read_text("utf-8") if log else ""
        assert time.monotonic() < end, f"not within {wait_s:.0f} s: {what}\n{said}"
        time.sleep(0.05)


def alive(pid: int) -> bool:
    """It runs; a zombie that nobody has buried does not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


def family(roots: Iterator[int] | tuple[int, ...]) -> set[int]:
    """Processes and all that came from them."""
    found: set[int] = set()
    for pid in roots:
        try:
            children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        found |= {pid, *family(tuple(int(child) for child in children))}
    return found


def interrupted(demo: Demo) -> None:
    """Ctrl-C reaches the whole group; in DOWN_S everything is gone."""
    everything = family((demo.process.pid,))
    began = time.monotonic()
    os.killpg(demo.process.pid, signal.SIGINT)
    demo.process.wait(DOWN_S)
    assert not [pid for pid in everything if alive(pid)]
    assert time.monotonic() - began < DOWN_S
    assert not (demo.var / "demo.json").exists()


@contextmanager
def started(var: Path, *arguments: str) -> Iterator[Demo]:
    """A demo, gone afterwards even when the test failed."""
    demo = Demo(var, *arguments)
    try:
        yield demo
    finally:
        demo.kill_if_left()


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """A demo under load with everything up. Its end is the test of Ctrl-C."""
    with started(tmp_path_factory.mktemp("demo") / "var", "--load", "6") as running:
        running.wait_for(*NAMES)
        until(lambda: _audit(running).get("judged", 0) > 0, UP_S, "payments flow", running.log)
        yield running
        interrupted(running)


def _audit(demo: Demo) -> dict[str, Any]:
    done = subprocess.run(
        [*YYT, "audit", "--json", "--demo", str(demo.var / "demo.json")],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode in (0, 1), done.stderr
    (line,) = done.stdout.splitlines()
    found: dict[str, Any] = json.loads(line)
    assert done.returncode == (1 if found["violations"] else 0)
    return found


def test_demo_json_tells_the_truth(demo: Demo) -> None:
    """Goal: eight names; each pid is the process itself; each process can be found."""
    listed = demo.listed()

    assert tuple(listed) == NAMES
    for name, process in listed.items():
        command = Path(f"/proc/{process['pid']}/cmdline").read_bytes().decode().split("\0")
        assert all(any(word in part for part in command) for word in RUNS[name]), command
        assert process["addresses"]
        assert set(process) == {"name", "pid", "addresses"}


def test_audit_is_one_line(demo: Demo) -> None:
    """Goal: under load ``yyt audit --json`` prints the audit object and ``in_flight``."""
    found = _audit(demo)

    assert found["violations"] == []
    assert set(found) >= {
        "bank_net_fen",
        "his_booked_fen",
        "terminal_told_fen",
        "violations",
        "in_flight",
    }
    assert found["bank_net_fen"] == found["his_booked_fen"] == found["terminal_told_fen"] > 0


@pytest.mark.parametrize(("name", "lines"), [("bank", "debits"), ("his", "bookings")])
def test_ledgers_are_loopback_json(demo: Demo, name: str, lines: str) -> None:
    """Goal: anyone on this machine, and nobody else, can check the books."""
    address = demo.listed()[name]["addresses"]["http"]
    ledger = get(f"{address}/ledger")

    assert ledger[lines]
    port = int(address.rpartition(":")[2])
    assert _listens_on(port) == {"127.0.0.1"}


def _listens_on(port: int) -> set[str]:
    """Local addresses with a listening TCP socket on ``port``."""
    found = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            local, state = line.split()[1], line.split()[3]
            host, _, number = local.partition(":")
            if state == "0A" and int(number, 16) == port:
                is_four = len(host) == 8
                found.add(socket.inet_ntoa(bytes.fromhex(host)[::-1]) if is_four else host)
    return found


@pytest.mark.parametrize("name", NAMES)
def test_I1_killed_it_comes_back_and_the_books_are_right(demo: Demo, name: str) -> None:
    """Goal: kill -9 of any process under load: it is back with a new pid, ``demo.json`` is whole
    whenever it is read, payments go on, and the audit stays clean."""
    old, before = demo.pids()[name], _audit(demo)["judged"]
    broken: list[str] = []
    over = threading.Event()
    reader = threading.Thread(target=_read_all_the_time, args=(demo, over, broken))
    reader.start()
    try:
        os.kill(old, signal.SIGKILL)
        until(lambda: demo.pids().get(name, old) != old, BACK_S, f"{name} is back", demo.log)
        until(lambda: _audit(demo)["judged"] > before, BACK_S, "payments go on", demo.log)
    finally:
        over.set()
        reader.join()

    assert broken == []
    assert alive(demo.pids()[name])
    assert _audit(demo)["violations"] == []


def _read_all_the_time(demo: Demo, over: threading.Event, broken: list[str]) -> None:
    while not over.wait(0.001):
        text = (demo.var / "demo.json").read_text("utf-8")
        try:
            names = {process["name"] for process in json.loads(text)["processes"]}
        except ValueError:
            broken.append(text)
        else:
            if len(names) < len(NAMES) - 1:
                broken.append(str(names))


def test_a_second_demo_in_the_same_folder_is_refused(demo: Demo) -> None:
    """Goal: it would wipe the first one's books, so it says so and changes nothing."""
    before = demo.pids()
    second = subprocess.run(
        [*YYT, "demo", "--once", "--var", str(demo.var)],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )

    assert second.returncode == 2
    assert "another demo runs" in second.stderr
    assert demo.pids() == before


def test_an_interrupt_while_starting_leaves_nothing(tmp_path: Path) -> None:
    """Goal: Ctrl-C before everything is up takes down what is up already."""
    with started(tmp_path / "var") as demo:
        demo.wait_for("postgres", "hsm")
        interrupted(demo)


def test_killed_it_takes_its_children_along_and_plays_again(tmp_path: Path) -> None:
    """Goal: kill -9 of the demo itself: no child outlives it; the next ``--once --json`` in the
    same folder plays the morning, exits 0, and its last line is the promised object."""
    with started(tmp_path / "var") as demo:
        demo.wait_for(*NAMES)
        children = family((demo.process.pid,)) - {demo.process.pid}
        demo.process.kill()
        until(lambda: not any(map(alive, children)), DOWN_S, "children die with their parent")
    assert len(children) >= len(NAMES)

    once = subprocess.run(
        [*YYT, "demo", "--once", "--json", "--var", str(tmp_path / "var")],
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )

    assert once.returncode == 0, once.stdout + once.stderr
    last = json.loads(once.stdout.splitlines()[-1])
    _promised(last)
    assert not (tmp_path / "var" / "demo.json").exists()
    assert _secrets_left(tmp_path / "var") == []


def _secrets_left(var: Path) -> list[Hit]:
    """I12: card numbers and keys of the demo's outside world in what it leaves behind."""
    scanner = Scanner()
    for card in CARDS:
        scanner.learn(card.id, digits=card.pan)
    for path in (var / "demo" / "outside").glob("*.hex"):
        scanner.learn(path.stem, key=path.read_text("ascii").strip())
    return scanner.scan_all(files(var, SPARED))


def _promised(last: dict[str, Any]) -> None:
    ends = ("done", "declined", "undone", "exception")
    audit = last["audit"]
    assert list(last) == ["payments", *ends, "audit", "seconds"]
    assert list(audit) == ["bank_net_fen", "his_booked_fen", "terminal_told_fen", "violations"]
    assert last["payments"] == sum(last[end] for end in ends) == 10
    assert (last["declined"], last["undone"], last["exception"]) == (2, 3, 0)
    assert audit["violations"] == []
    assert audit["bank_net_fen"] == audit["his_booked_fen"] == audit["terminal_told_fen"] > 0
