"""Figures of the PC/SC path with a real pcscd and vpcd: ``python -m tests.pcsc.bench_pcsc``.

Printed, never asserted. The time of a card is what passes inside ``chip_io``; the rest until the
question to the host is ready is our own.
"""

import statistics
import sys
import time
from collections.abc import Callable

from terminal_agent.chip_payment import ChipTerminal, Question
from terminal_agent.devices.pcsc_reader import PcscReader
from terminal_agent.devices.vpcd_card import VpcdCard
from tests.emv.parts import CUP, PAYMENT, TERMINAL
from tests.pcsc.daemon import Pcscd
from tests.pcsc.stage import Stage, play
from tests.pcsc.test_pcsc_reader import RULES, Pad, virtual

ROUNDS = 10
INSERTED, REMOVED = "CardReader.MediaInsertedEvent", "CardReader.MediaRemovedEvent"


class Clocked:
    """Adds up the time that a reader's chip takes."""

    def __init__(self, reader: PcscReader) -> None:
        self._reader = reader
        self.apdus_ms: list[float] = []
        self.power_ms = 0.0

    def __getattr__(self, name: str) -> object:
        return getattr(self._reader, name)

    async def chip_power(self) -> bytes:
        """Clocked."""
        began = time.perf_counter()
        try:
            return await self._reader.chip_power()
        finally:
            self.power_ms = (time.perf_counter() - began) * 1000

    async def chip_io(self, command: bytes) -> bytes:
        """Clocked."""
        began = time.perf_counter()
        try:
            return await self._reader.chip_io(command)
        finally:
            self.apdus_ms.append((time.perf_counter() - began) * 1000)


async def figures(stage: Stage) -> None:
    """Insert, play to the question, pull: ten times."""
    reader = stage.reader()
    found: dict[str, list[float]] = {}

    def note(name: str, value: float) -> None:
        found.setdefault(name, []).append(value)

    await stage.event(reader, "Common.StatusChangedEvent")
    for _ in range(ROUNDS):
        clocked = Clocked(reader)
        terminal = ChipTerminal(clocked, Pad(), RULES)
        inserted, removed = stage.event(reader, INSERTED), stage.event(reader, REMOVED)
        card = VpcdCard(virtual())
        note_since = since()
        card.insert()
        await inserted
        note("insertion noticed", note_since())
        note_since = since()
        question = await terminal.ask(CUP, TERMINAL, PAYMENT, card_timeout_ms=5000)
        whole_ms = note_since()
        assert isinstance(question, Question)
        note("power up", clocked.power_ms)
        note("one APDU", statistics.median(clocked.apdus_ms))
        note("APDUs until ARQC", len(clocked.apdus_ms))
        note("ARQC ready, whole", whole_ms)
        note("ARQC ready, our own", whole_ms - sum(clocked.apdus_ms) - clocked.power_ms)
        note_since = since()
        card.pull()
        await removed
        note("removal noticed", note_since())
    for name, values in found.items():
        unit = "" if name.startswith("APDUs") else "ms"
        sys.stdout.write(
            f"{name:<22}{statistics.median(values):>8.1f} {unit:<3}max {max(values):.1f}\n"
        )


def since() -> Callable[[], float]:
    """A stop watch, in milliseconds."""
    began = time.perf_counter()
    return lambda: (time.perf_counter() - began) * 1000


if __name__ == "__main__":
    with Pcscd() as daemon:
        daemon.start()
        play(figures)
