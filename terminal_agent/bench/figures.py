"""``yyt agent bench``: the kiosk's figures, and what they should be."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from msgspec import Struct

from terminal_agent.bench import chips
from terminal_agent.bench import folder as files
from terminal_agent.bench.agent_process import AgentProcess
from terminal_agent.bench.page_reader import PageReader, State
from terminal_agent.bench.patient import TILE, Kind, Patient
from terminal_agent.bench.stand_in import StandIn
from terminal_agent.bench.stand_in_server import StandInServer

Tell = Callable[[str], None]


class Goal(Struct, frozen=True):
    """The most that a figure should be."""

    title: str
    most: float
    unit: str


GOALS: Final = {
    "arqc_own_ms_p99": Goal("card in until ARQC ready, less the card's own time, p99", 50, "ms"),
    "tap_ms_p99": Goal("tap in until view out, at the page's WebSocket, p99", 100, "ms"),
    "cold_start_s": Goal("start of the process until agent_ready, worst", 3, "s"),
    "rss_start_mib": Goal("memory after the start, a page open", 100, "MiB"),
    "rss_slip_mib": Goal("memory after the first slip", 100, "MiB"),
    "rss_picture_mib": Goal("memory after the first picture", 100, "MiB"),
    "rss_visits_mib": Goal("memory after all visits", 100, "MiB"),
}  # fmt: skip


class Sizes(Struct, frozen=True, kw_only=True):
    """How often each thing is done."""

    cards: int = 500
    taps: int = 1_000
    visits: int = 100
    starts: int = 5


class Bench:
    """One run in ``folder``, which is empty at first."""

    def __init__(self, reactor: Any, folder: Path, sizes: Sizes, tell: Tell) -> None:
        self._reactor = reactor
        self._sizes = sizes
        self._tell = tell
        files.make(folder)
        self._server = StandInServer(reactor, folder, StandIn())
        config = files.configure(folder, switch_port=self._server.port)
        self._agent = AgentProcess(reactor, config)

    async def run(self) -> dict[str, Any]:
        """Measure. Raises AgentFailedError, NotShownError."""
        self._tell("cards")
        found = self._cards()
        try:
            self._tell("starts")
            found |= await self._starts()
            self._tell("a day's patients")
            found |= await self._process()
        finally:
            self._agent.stop()
            self._server.stop()
        return found

    def _cards(self) -> dict[str, Any]:
        times = chips.own_times_ms(self._sizes.cards)
        return {
            "arqc_own_ms_p50": percentile(times, 50),
            "arqc_own_ms_p99": percentile(times, 99),
            "cards": len(times),
        }

    async def _starts(self) -> dict[str, Any]:
        times = []
        for _ in range(self._sizes.starts):
            times.append(await self._agent.start())
            self._agent.stop()
        times.sort()
        return {
            "cold_start_s": round(times[-1], 2),
            "cold_start_s_p50": percentile(times, 50),
            "starts": len(times),
        }

    async def _process(self) -> dict[str, Any]:
        """One process from its start over taps and patients."""
        agent = self._agent
        await agent.start()
        page, panel = await agent.page("kiosk"), await agent.page("panel")
        patient = Patient(self._reactor, page, panel)
        await patient.until_open()
        found: dict[str, Any] = {"rss_start_mib": _mib(agent.rss_kib)}
        await patient.visit(Kind.PAYS)
        found["rss_slip_mib"] = _mib(agent.rss_kib)
        found["pillow_before_picture"] = agent.has_pillow
        assert agent.picture_bytes() > 0
        found["rss_picture_mib"] = _mib(agent.rss_kib)
        found["pillow_after_picture"] = agent.has_pillow
        times = await self._taps(page)
        found |= {
            "tap_ms_p50": percentile(times, 50),
            "tap_ms_p99": percentile(times, 99),
            "taps": len(times),
        }
        for _ in range(self._sizes.visits - 1):
            await patient.visit(Kind.PAYS)
        found |= {"rss_visits_mib": _mib(agent.rss_kib), "visits": self._sizes.visits}
        return found

    async def _taps(self, page: PageReader) -> list[float]:
        """In turn: another language and back, a business and back home; times in ms, sorted."""
        fingers: tuple[tuple[str, str, Callable[[State], bool]], ...] = (
            ("language", "", lambda state: state.get("language") == "en"),
            ("language", "", lambda state: state.get("language", "zh") == "zh"),
            ("tile", TILE, lambda state: state["screen"] == "identify"),
            ("cancel", "", lambda state: state["screen"] == "home"),
        )
        times = []
        for number in range(self._sizes.taps):
            what, choice, shown = fingers[number % len(fingers)]
            began = time.perf_counter()
            page.say(revision=page.state["revision"], what=what, id=choice)
            await page.until(shown)
            times.append((time.perf_counter() - began) * 1000)
        return sorted(times)


def judged(found: dict[str, Any]) -> list[dict[str, Any]]:
    """Each figure that has a goal, and whether it is met."""
    return [
        {
            "figure": name,
            "title": goal.title,
            "measured": found[name],
            "goal": goal.most,
            "unit": goal.unit,
            "met": found[name] <= goal.most,
        }
        for name, goal in GOALS.items()
    ]


def percentile(values: list[float], per_hundred: int) -> float:
    """Nearest rank of sorted values, to two decimals."""
    return round(values[min(len(values) - 1, len(values) * per_hundred // 100)], 2)


def _mib(kib: int) -> float:
    return round(kib / 1024, 1)
