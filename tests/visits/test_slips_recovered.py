"""K10: slips that may not have come out are printed after a restart, once there is a printer."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from terminal_agent.config import Receipt
from terminal_agent.devices.interfaces import Completion, DeviceError, DeviceEvent, State, Watcher
from terminal_agent.journal import Journal, PaymentOrder
from terminal_agent.protocol import Told
from terminal_agent.slips import Slips

DAY = "20250615"
ORDER = PaymentOrder(
    business="outpatient_bill", amount_fen=1234, patient="P1", bill="B1", patient_name="王小明"
)


class SlowPrinter:
    """A printer at a line: at first it is not there."""

    def __init__(self) -> None:
        self.state: str = State.STARTING
        self.paper: list[tuple[str, str]] = []
        self._watchers: list[Watcher] = []

    def watch(self, watcher: Watcher) -> None:
        """See Device."""
        self._watchers.append(watcher)

    def status(self) -> str:
        """See Device."""
        return self.state

    def cancel(self) -> None:
        """Nothing waits."""

    def becomes(self, state: str) -> None:
        """Everybody hears of it."""
        self.state = state
        for watcher in self._watchers:
            watcher(DeviceEvent(name="Common.StatusChangedEvent", detail=state))

    async def print_raw(self, name: str, text: str) -> None:
        """See Printer."""
        if self.state != State.ONLINE:
            raise DeviceError(Completion.DEVICE_NOT_READY, self.state)
        self.paper.append((name, text))


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    """Three payments were told, and nothing was printed."""
    made = Journal(tmp_path / "journal.db", "KIOSK001")
    keys = made.create([ORDER, ORDER, ORDER], DAY, 1)
    made.told([Told(key=key, state="approved", version=1, amount_fen=1234) for key in keys], 2)
    yield made
    made.close()


def test_K10_recovered_slips_wait_for_the_printer(journal: Journal) -> None:
    """All of them, each once, marked, in their order; and not before the printer is there."""
    keys = journal.unprinted_keys()
    printer = SlowPrinter()
    slips = Slips(Receipt(hospital_name="示范医院", columns=32), "KIOSK001", journal, printer)

    slips.recover()
    printer.becomes(State.NO_DEVICE)
    assert printer.paper == []
    printer.becomes(State.ONLINE)
    printer.becomes(State.ONLINE)

    assert [name for name, _ in printer.paper] == keys
    assert all("重打印" in text for _, text in printer.paper)
    assert journal.unprinted_keys() == []


def test_K10_without_paper_they_are_left_to_the_attendant(journal: Journal) -> None:
    """Tried once; the journal still knows them."""
    keys = journal.unprinted_keys()
    printer = SlowPrinter()
    slips = Slips(Receipt(hospital_name="示范医院", columns=32), "KIOSK001", journal, printer)
    heard: list[tuple[str, str]] = []
    slips.watch(lambda key, what: heard.append((key, what)))

    slips.recover()
    printer.becomes("paperOut")
    printer.becomes(State.ONLINE)

    assert heard == [(keys[0], "waiting"), (keys[0], "failed")]
    assert journal.unprinted_keys() == keys
