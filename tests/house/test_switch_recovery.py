"""The sweep of the composition root: nothing ends it but the end of the switch (I3, I15)."""

from types import SimpleNamespace
from typing import Any

from structlog.testing import capture_logs
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from switch.app import Switch
from switch.ports import JournalDown
from switch.store.errors import Corrupt

EVERY_MS = 5_000


class Engine:
    """Counts sweeps; each one ends as the test says."""

    def __init__(self, *ends: Exception) -> None:
        self.sweeps = 0
        self._ends = list(ends)

    async def recover(self) -> int:
        self.sweeps += 1
        if self._ends:
            raise self._ends.pop(0)
        return 0

    async def take_late(self) -> None:
        """Nothing is late."""


class Journal:
    """No exceptions are open."""

    async def exceptions_open(self) -> int:
        return 0


def test_I3_a_sweep_that_fails_is_followed_by_the_next() -> None:
    """The database away, a row that cannot be read, a defect: told, and tried again."""
    clock = Clock()
    settings: Any = SimpleNamespace(
        limits=SimpleNamespace(recovery_batch=10, recovery_every_ms=EVERY_MS)
    )
    switch = Switch(settings, "", clock)
    engine = Engine(JournalDown("away"), Corrupt("I1: a row"), RuntimeError("defect"))
    switch.engine, switch.journal = engine, Journal()  # type: ignore[assignment]
    with capture_logs() as logs:
        Deferred.fromCoroutine(switch._recover())
        clock.pump([EVERY_MS / 1000 + 0.1] * 4)
    assert engine.sweeps == 5
    told = [line["event"] for line in logs if line["log_level"] in ("warning", "error")]
    assert told == ["recovery_waits", "recovery_failed", "recovery_failed"]
