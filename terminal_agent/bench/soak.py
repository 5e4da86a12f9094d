"""``yyt agent soak``: a kiosk's day in minutes, its memory watched.

One agent, whole, in this process: flows, devices, cards, journal, slips, page and panel over their
WebSockets, link. Only time is not real, and the lines of devices, pages and switch are in memory.

Memory is looked at as resident memory and as the number of blocks that Python has allocated (not by
tracemalloc: what that notes of every place grows by itself, several MiB a day).
"""

import gc
import json
import random
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any, Final

from msgspec import Struct
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from terminal_agent import logs
from terminal_agent.bench.joined_kiosk import JoinedKiosk
from terminal_agent.bench.memory import rss_kib
from terminal_agent.bench.patient import Kind
from terminal_agent.devices.virtual_issuer import forget_sessions

EVERY_MS: Final = 90_000
"""A patient comes so often, or as soon as the one before has gone."""
THINK_MS: Final = 1_500
AWAY_MS: Final = 8_000
"""How long a line that was cut stays away."""
WARM_S: Final = 4 * 3600
"""So much, or half of a shorter soak, passes before memory is looked at: what the agent and the
emulated printer remember (the last log lines, the last 100 slips) is full then."""
SAMPLE_S: Final = 4 * 3600
BLOCKS_GROWTH_MAX: Final = 800
"""Python may end with so many blocks more than when it was warm: one for each visit of a day would
be too many already."""
RSS_GROWTH_KIB_MAX: Final = 1024
SHARES: Final = {
    Kind.PAYS: 58,
    Kind.CANCELS: 6,
    Kind.WRONG_PIN: 6,
    Kind.FORGOT_PIN: 3,
    Kind.NO_MONEY: 3,
    Kind.NOT_KNOWN: 3,
    Kind.LEAVES_EARLY: 5,
    Kind.LEAVES_AT_CARD: 4,
    Kind.LEAVES_AT_PIN: 2,
    Kind.PULLS_CARD: 3,
    Kind.NO_PAPER: 3,
    Kind.LINE_CUT: 4,
}
"""Of a hundred patients."""

Tell = Callable[[str], None]


class Sample(Struct, frozen=True, kw_only=True):
    """Memory at a moment of the simulated day."""

    hour: float
    rss_kib: int
    blocks: int
    """What Python has allocated and not given back, after a collection."""
    visits: int


class Soak:
    """One run in ``folder``, which is empty at first."""

    def __init__(self, folder: Path, hours: int, seed: int, tell: Tell) -> None:
        self._hours = hours
        self._tell = tell
        self._seed = seed
        self._chance = random.Random(seed)  # noqa: S311 - repeatable, nothing depends on it
        self._kiosk = JoinedKiosk(folder)
        self._reactor = self._kiosk.reactor
        self._samples: list[Sample] = []
        self._outcomes: Counter[str] = Counter()
        self._visits = 0
        self._failed: list[Failure] = []
        self._over = False

    def run(self) -> dict[str, Any]:
        """Play it. Raises NotShownError when a patient stands before a screen for ever."""
        began = time.monotonic()
        self._kiosk.agent.start()
        self._play()
        self._reactor.stop()
        for failure in self._failed:
            failure.raiseException()
        return self._result(time.monotonic() - began)

    # ---- the day ---------------------------------------------------------------------------------

    def _play(self) -> None:
        end_s = self._hours * 3600
        Deferred.fromCoroutine(self._patients(end_s)).addErrback(self._failed.append).addBoth(
            self._ended
        )
        look_s = min(WARM_S, end_s / 2)
        while not self._over:
            self._reactor.next_turn()
            if self._reactor.seconds() >= look_s:
                self._look()
                look_s += SAMPLE_S
        self._look()

    async def _patients(self, end_s: float) -> None:
        patient = self._kiosk.patient(THINK_MS, AWAY_MS)
        kinds, shares = list(SHARES), list(SHARES.values())
        next_s = 0.0
        while self._reactor.seconds() < end_s:
            await self._pause(next_s - self._reactor.seconds())
            next_s = self._reactor.seconds() + EVERY_MS / 1000
            (kind,) = self._chance.choices(kinds, shares)
            outcome = await patient.visit(kind)
            self._visits += 1
            self._outcomes[f"{kind}: {outcome}"] += 1

    def _ended(self, _result: object) -> None:
        self._over = True

    async def _pause(self, wait_s: float) -> None:
        pause: Deferred[None] = Deferred()
        self._reactor.callLater(max(0.0, wait_s), pause.callback, None)
        await pause

    # ---- what is seen ----------------------------------------------------------------------------

    def _look(self) -> None:
        forget_sessions()
        gc.collect()
        sample = Sample(
            hour=round(self._reactor.seconds() / 3600, 2),
            rss_kib=rss_kib(),
            blocks=sys.getallocatedblocks(),
            visits=self._visits,
        )
        self._samples.append(sample)
        self._tell(
            f"hour {sample.hour}: {sample.visits} visits, RSS {sample.rss_kib} KiB,"
            f" {sample.blocks} blocks"
        )

    def _result(self, took_s: float) -> dict[str, Any]:
        first, last = self._samples[0], self._samples[-1]
        blocks, resident_kib = last.blocks - first.blocks, last.rss_kib - first.rss_kib
        flat = blocks <= BLOCKS_GROWTH_MAX and resident_kib <= RSS_GROWTH_KIB_MAX
        still_open = self._kiosk.agent.payments.open_count
        return {
            "ok": flat and not still_open,
            "flat": flat,
            "rule": f"from the warm state to the end: at most {BLOCKS_GROWTH_MAX} blocks and"
            f" {RSS_GROWTH_KIB_MAX} KiB of resident memory more",
            "hours": self._hours,
            "visits": self._visits,
            "payments": self._kiosk.stand_in.started,
            "open": still_open,
            "line_cuts": self._kiosk.line.cuts,
            "blocks_growth": blocks,
            "rss_growth_kib": resident_kib,
            "samples": [
                {"hour": one.hour, "visits": one.visits, "rss_kib": one.rss_kib,
                 "blocks": one.blocks}
                for one in self._samples
            ],
            "outcomes": dict(sorted(self._outcomes.items())),
            "seconds": round(took_s, 1),
            "seed": self._seed,
        }  # fmt: skip


def soaked(folder: Path, hours: int, seed: int, tell: Tell) -> dict[str, Any]:
    """A soak as the process's one task: the agent's log goes to a file, and a line in it that
    tells of a defect is not ok. As :meth:`Soak.run`."""
    log = folder / "agent.log"
    with log.open("w", encoding="utf-8") as out, redirect_stdout(out):
        logs.configure()
        result = Soak(folder, hours, seed, tell).run()
    with log.open(encoding="utf-8") as lines:
        errors = sum(json.loads(line)["level"] == "error" for line in lines)
    return result | {"ok": result["ok"] and not errors, "errors": errors}
