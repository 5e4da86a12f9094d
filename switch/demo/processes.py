"""Supervises the demo's processes: starts them, brings them back when they die, stops them.

Each child dies with this process (parent-death signal, asked for by the child itself when
``YYT_PARENT`` names its parent) and has a process group of its own, so that an interrupt of the
terminal reaches the supervisor alone, which then stops them in order.
"""

import contextlib
import json
import os
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from msgspec import Struct

from switch.demo.screen import say

POLL_S = 0.05
RESTART_WAITS_S = (0.1, 0.5, 1.0, 2.0)
"""Waits before restarts in a row; the last repeats. Having lived for LIVED_S starts them over."""
LIVED_S = 5.0
STOP_WAIT_S = 6.0
"""After this a child that was asked to stop is killed: all is down within 10 s."""


class Program(Struct, frozen=True, kw_only=True):
    """One process of the demo."""

    name: str
    argv: tuple[str, ...]
    addresses: Callable[[], Mapping[str, str]]
    ready: Callable[[], bool]
    """True when it does its work (it answers, it is connected)."""


class Life(Struct, frozen=True, kw_only=True):
    """How often a program was started, and how its last process ended."""

    starts: int
    ended: int | None
    """Exit code of the last process that ended, -9 for SIGKILL; None before the first end."""


class NotReady(Exception):  # noqa: N818 - tells a state, with a sentence
    """A program did not come up in time; the sentence names it and its log file."""


class _Child:
    """A program and the process that runs it now."""

    def __init__(self, program: Program, log: Path) -> None:
        self.program = program
        self.log = log
        self.process: subprocess.Popen[bytes] | None = None
        self.started_at = 0.0
        self.restarts_in_a_row = 0
        self.restart_at = 0.0
        self.starts = 0
        self.last_end: int | None = None
        self.once: deque[Mapping[str, str]] = deque()

    def start(self) -> None:
        once = self.once.popleft() if self.once else {}
        environ = {**os.environ, "YYT_PARENT": str(os.getpid()), **once}
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(  # noqa: S603 - our own command lines
                self.program.argv,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=environ,
                process_group=0,
            )
        self.started_at = time.monotonic()
        self.starts += 1

    def ended(self) -> bool:
        return self.process is not None and self.process.poll() is not None


class Supervisor:
    """Runs programs until :meth:`stop`. Its thread lives as long as the children should."""

    def __init__(
        self,
        folder: Path,
        told: Callable[[str], None],
        restart_waits_s: Sequence[float] = RESTART_WAITS_S,
    ) -> None:
        """``folder`` takes ``demo.json`` and ``log/NAME.log``; ``told`` hears of restarts."""
        self._folder = folder
        self._told = told
        self._restart_waits_s = restart_waits_s
        self._children: list[_Child] = []
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="supervisor", daemon=True)
        self._interrupted = threading.Event()
        (folder / "log").mkdir(parents=True, exist_ok=True)

    def stopped_by(self, interrupted: threading.Event) -> None:
        """Give up waiting for programs when ``interrupted`` is set."""
        self._interrupted = interrupted

    def run(self) -> None:
        """Begin to watch."""
        self._thread.start()

    def start(self, programs: Sequence[Program], timeout_s: float) -> None:
        """Start ``programs`` together and wait until each is ready. Raises NotReady."""
        children = [_Child(program, self.log_of(program.name)) for program in programs]
        with self._lock:
            for child in children:
                child.start()
            self._children.extend(children)
            self._publish()
        end = time.monotonic() + timeout_s
        for child in children:
            while not child.program.ready():
                if time.monotonic() > end or self._interrupted.is_set():
                    raise NotReady(f"{child.program.name} did not come up; its log is {child.log}")
                time.sleep(POLL_S)

    def pids(self) -> dict[str, int]:
        """Name → process id of those that run."""
        with self._lock:
            return {
                child.program.name: child.process.pid
                for child in self._children
                if child.process is not None
            }

    def life(self, name: str) -> Life:
        """What a program has been through. Raises KeyError."""
        with self._lock:
            child = self._child(name)
            return Life(starts=child.starts, ended=child.last_end)

    def next_starts(self, name: str, *environs: Mapping[str, str]) -> None:
        """The next starts of a program get these variables besides, one mapping each; the starts
        after them get none again. Raises KeyError."""
        with self._lock:
            once = self._child(name).once
            once.clear()
            once.extend(environs)

    def replace(self, program: Program) -> None:
        """From its next start on a program of this name runs as ``program`` says. Raises
        KeyError."""
        with self._lock:
            self._child(program.name).program = program

    def log_of(self, name: str) -> Path:
        """Where a program's output goes."""
        return self._folder / "log" / f"{name}.log"

    def kill(self, name: str, number: int = signal.SIGKILL) -> None:
        """Kill a child, as a power cut would; it comes back like after any death. One that is
        down just now stays so until its wait is over. Raises KeyError."""
        with self._lock:
            process = self._child(name).process
            if process is not None:
                _signal(process, number)

    def stop(self) -> None:
        """Ask all to stop, last started first, then kill what has not."""
        self._stopping.set()
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join()
        with self._lock:
            running = [c.process for c in reversed(self._children) if c.process is not None]
            for process in running:
                _signal(process, signal.SIGTERM)
            end = time.monotonic() + STOP_WAIT_S
            for process in running:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(max(0.0, end - time.monotonic()))
            for process in running:
                if process.poll() is None:
                    _signal(process, signal.SIGKILL)
                    process.wait()
        (self._folder / "demo.json").unlink(missing_ok=True)

    def _child(self, name: str) -> _Child:
        for child in self._children:
            if child.program.name == name:
                return child
        raise KeyError(name)

    def _watch(self) -> None:
        while not self._stopping.wait(POLL_S):
            with self._lock:
                for child in self._children:
                    self._attend(child)

    def _attend(self, child: _Child) -> None:
        """Notice a death at once, bring the child back after its wait."""
        now = time.monotonic()
        if child.ended():
            assert child.process is not None
            code = child.last_end = child.process.returncode
            child.process = None
            lived = now - child.started_at > LIVED_S
            child.restarts_in_a_row = 0 if lived else child.restarts_in_a_row + 1
            waits = self._restart_waits_s
            wait = waits[min(child.restarts_in_a_row, len(waits) - 1)]
            child.restart_at = now + wait
            self._told(_ended(child.program.name, code, wait))
        elif child.process is None and now >= child.restart_at:
            child.start()
            self._publish()

    def _publish(self) -> None:
        """Replace ``demo.json`` in one step, so that a reader never sees half of it."""
        processes = [
            {
                "name": child.program.name,
                "pid": child.process.pid,
                "addresses": dict(child.program.addresses()),
            }
            for child in self._children
            if child.process is not None
        ]
        fresh = self._folder / "demo.json.new"
        fresh.write_text(json.dumps({"processes": processes}, indent=1), encoding="utf-8")
        fresh.replace(self._folder / "demo.json")


def _ended(name: str, code: int, wait_s: float) -> str:
    return say(
        f"{name}: 已结束({code}), {wait_s:.1f} 秒后重启",
        f"{name}: ended ({code}), back in {wait_s:.1f} s",
    )


def _signal(process: "subprocess.Popen[bytes]", number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(number)
