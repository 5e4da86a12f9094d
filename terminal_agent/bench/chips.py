"""From the inserted chip card to the question for the bank: the kiosk's own part of it."""

import time
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from terminal_agent.chip_payment import ChipTerminal, PinRules, Question
from terminal_agent.devices.interfaces import DeviceError, Watcher
from terminal_agent.devices.virtual_card import PRESETS, VirtualCard
from terminal_agent.devices.virtual_reader import VirtualReader
from terminal_agent.devices.waiting import Waiting
from terminal_agent.emv.actions import EmvPayment
from terminal_agent.emv.profile import Terminal, load_profile
from terminal_agent.protocol import Pan, PinBlock

WARM_UP: Final = 20
_TERMINAL: Final = Terminal(
    merchant_number="104440180620001",
    terminal_number="80000101",
    merchant_name="BENCH HOSPITAL",
    interface_serial="YYTBENCH",
)


class _TimedCard(VirtualCard):
    """Adds up what the card itself takes."""

    spent_s = 0.0

    def reset(self) -> bytes:
        began = time.perf_counter()
        try:
            return super().reset()
        finally:
            self.spent_s += time.perf_counter() - began

    def transmit(self, command: bytes) -> bytes:
        began = time.perf_counter()
        try:
            return super().transmit(command)
        finally:
            self.spent_s += time.perf_counter() - began


class _ReadyPad:
    """A pad at which the patient has typed already: fingers are no part of the figure."""

    async def pin_entry(
        self, minimum: int, maximum: int, timeout_ms: int, pan: Pan | None = None
    ) -> int:
        return 6

    async def get_pin_block(self, pan: Pan) -> PinBlock:
        return PinBlock("0123456789ABCDEF")

    def status(self) -> str:
        return "online"

    def watch(self, watcher: Watcher) -> None:
        """Nothing happens here."""

    def cancel(self) -> None:
        """Nothing waits."""


def own_times_ms(repetitions: int) -> list[float]:
    """Own time of each payment, sorted: what passes between the card's insertion and the finished
    question, less what passes in the card."""
    profile = load_profile("cup")
    found = []
    for number in range(WARM_UP + repetitions):
        payment = EmvPayment(
            amount_fen=12_345,
            date="261122",
            time="101500",
            unpredictable=number.to_bytes(4, "big"),
            counter=number + 1,
        )
        reader = VirtualReader(Waiting(Clock()))
        rules = PinRules(digits_min=4, digits_max=12, timeout_ms=60_000)
        terminal = ChipTerminal(reader, _ReadyPad(), rules)
        asking = terminal.ask(profile, _TERMINAL, payment, card_timeout_ms=60_000)
        ends: list[Any] = []
        Deferred.fromCoroutine(asking).addBoth(ends.append)
        card = _TimedCard(PRESETS["debit"])
        card.spent_s = 0.0
        began = time.perf_counter()
        reader.insert(card)
        took_s = time.perf_counter() - began
        if not (ends and isinstance(ends[0], Question)):
            raise DeviceError("hardwareError", f"no question: {ends}")  # type: ignore[arg-type]
        found.append((took_s - card.spent_s) * 1000)
    return sorted(found[WARM_UP:])
