"""For rehearsals and tests: a throw-away PostgreSQL, and a pump in the reactor's place."""

import queue
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import psycopg2
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from switch.store.embedded import embedded_dsn, wait_ready
from switch.store.settings import JournalSettings

T = TypeVar("T")
_READY_S = 60


class TemporaryPostgres:
    """An embedded server in a folder of its own; durable settings, so slow and honest."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def dsn(self) -> str:
        """Of the cluster's default database."""
        return embedded_dsn(self.data)

    @property
    def pid(self) -> int:
        """Of the server itself (the command becomes it)."""
        assert self._process is not None
        return self._process.pid

    def start(self, *settings: str) -> None:
        """Start it and wait until it answers; ``settings`` are ``name=value``."""
        command = [sys.executable, "-m", "switch.store.serve", "--data", str(self.data)]
        for setting in settings:
            command += ["--set", setting]
        with (self.data.parent / "postgres.log").open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - our own program
                [*command, "--die-with-parent"], stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        while not (self.data / "server.json").exists():
            if self._process.poll() is not None:
                raise RuntimeError((self.data.parent / "postgres.log").read_text())
            try:
                self._process.wait(0.02)
            except subprocess.TimeoutExpired:
                continue
        wait_ready(self.dsn, _READY_S)

    def signal(self, number: int) -> None:
        """Send it a signal and wait for its end: SIGINT stops, SIGQUIT is ``-m immediate``."""
        assert self._process is not None
        self._process.send_signal(number)
        self._process.wait(_READY_S)

    def stop(self) -> None:
        """Stop it if it runs; a test that killed it may call this as well."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(2)
            except subprocess.TimeoutExpired:
                self._process.send_signal(3)  # SIGQUIT: sessions are still open
                self._process.wait(_READY_S)

    def fresh_database(self, name: str) -> str:
        """The DSN of a new, empty database of this server."""
        conn = psycopg2.connect(self.dsn)
        try:
            conn.autocommit = True
            with conn.cursor() as cursor:
                cursor.execute(f'CREATE DATABASE "{name}"')
        finally:
            conn.close()
        return f"{self.dsn} dbname={name}"


@contextmanager
def temporary_postgres(*settings: str) -> Iterator[TemporaryPostgres]:
    """A running :class:`TemporaryPostgres`, gone without a trace afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="yyt-pg-"))
    server = TemporaryPostgres(folder / "db")
    try:
        server.start(*settings)
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder)


class Pump:
    """Stands where a reactor would: runs what the journal's threads hand over."""

    def __init__(self) -> None:
        self._calls: queue.SimpleQueue[tuple[Callable[..., object], tuple[object, ...]]] = (
            queue.SimpleQueue()
        )

    def call_from_thread(self, function: Callable[..., object], *arguments: object) -> None:
        """``reactor.callFromThread``."""
        self._calls.put((function, arguments))

    def run(self, work: Coroutine[Any, Any, T] | Deferred[T], timeout_s: float = 30) -> T:
        """Pump until ``work`` is finished; its result, or its exception raised."""
        (result,) = self.run_all([work], timeout_s)
        if isinstance(result, Failure):
            result.raiseException()
        return result

    def run_all(
        self, works: Sequence[Coroutine[Any, Any, T] | Deferred[T]], timeout_s: float = 30
    ) -> list[T | Failure]:
        """Run all at once; one result or Failure each. queue.Empty after ``timeout_s`` idle."""
        results: dict[int, T | Failure] = {}
        for number, work in enumerate(works):
            deferred = work if isinstance(work, Deferred) else Deferred.fromCoroutine(work)
            deferred.addBoth(partial(results.__setitem__, number))
        while len(results) < len(works):
            function, arguments = self._calls.get(timeout=timeout_s)
            function(*arguments)
        return [results[number] for number in range(len(works))]


def journal_settings(dsn: str, **changes: Any) -> JournalSettings:
    """Settings with short times for tests; ``changes`` replace fields."""
    values: dict[str, Any] = {
        "dsn": dsn,
        "queue_limit": 1000,
        "batch_limit": 128,
        "read_queue_limit": 1000,
        "lease_ms": 30_000,
        "lease_renew_ms": 1_000,
        "connect_timeout_ms": 5_000,
        "statement_timeout_ms": 10_000,
        "retry_max_ms": 200,
    }
    return JournalSettings(**(values | changes))
