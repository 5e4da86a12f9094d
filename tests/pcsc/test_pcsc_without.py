"""What needs no pcscd: the monitor against a service that is played, options, a missing pyscard."""

import re
import sys
import threading
from collections import deque
from collections.abc import Sequence
from typing import Any

import pytest
from twisted.internet.task import Clock

from terminal_agent.config import ConfigError, Device
from terminal_agent.devices import drivers
from terminal_agent.devices.interfaces import Completion, DeviceError
from terminal_agent.devices.pcsc_card import CardGoneError, PcscCard
from terminal_agent.devices.pcsc_monitor import MonitorTimes, PcscMonitor, ReaderEvent, ReaderNews
from terminal_agent.devices.pcsc_reader import read_options
from terminal_agent.devices.pcsc_service import (
    Code,
    Connection,
    Flag,
    PcscError,
    PcscService,
    ReaderState,
)
from terminal_agent.emv.actions import CardGone
from terminal_agent.emv.apdu import Style
from tests.pcsc.stage import OPTIONS

FOUND, LOST = ReaderNews.READER_FOUND, ReaderNews.READER_LOST
IN, OUT = ReaderNews.CARD_INSERTED, ReaderNews.CARD_REMOVED
GONE, BACK = ReaderNews.SERVICE_LOST, ReaderNews.SERVICE_BACK
WAIT_S = 30


class Played:
    """A service whose script is a list of what each wait brings: names of readers, states, or the
    code of a failure. After the last one it waits until it is cancelled."""

    def __init__(self, *script: Any) -> None:
        self._script = deque(script)
        self._cancelled = threading.Event()
        self._names = ["Reader A"]

    def open(self) -> int:
        """Always there."""
        return 1

    def close(self, context: int) -> None:
        """Nothing to do."""

    def cancel(self, context: int) -> None:
        """Wake the waiting thread."""
        self._cancelled.set()

    def readers(self, context: int) -> list[str]:
        """As last told."""
        return self._names

    def wait(
        self, context: int, timeout_ms: int, known: Sequence[tuple[str, int]]
    ) -> list[ReaderState]:
        """The next part of the script."""
        if not self._script:
            self._cancelled.wait(WAIT_S)
            return []
        part = self._script.popleft()
        if isinstance(part, int):
            raise PcscError("wait", part)
        if isinstance(part, list):
            self._names = part
            return []
        return [ReaderState("Reader A", part[0] | Flag.CHANGED, part[1])]


def heard(*script: Any, count: int) -> list[ReaderEvent]:
    """The first ``count`` events; then the monitor is stopped, and says no more."""
    events: list[ReaderEvent] = []
    enough = threading.Event()

    def cross(deliver: Any, event: ReaderEvent) -> None:
        deliver(event)
        if len(events) == count:
            enough.set()

    service: Any = Played(*script)
    times = MonitorTimes(look_again_ms=1000, retry_min_ms=1, retry_max_ms=2)
    monitor = PcscMonitor(service, re.compile("Reader"), times, events.append, cross)
    monitor.start()
    assert enough.wait(WAIT_S), events
    monitor.stop()
    assert not monitor.alive
    assert len(events) == count
    return events


def news(events: list[ReaderEvent]) -> list[ReaderNews]:
    """Only what happened."""
    return [event.news for event in events]


def test_a_card_changed_between_two_looks_is_two_events() -> None:
    """Still a card inside, but the count of insertions went on: the old one was taken out."""
    first, second = (0x10000 | Flag.PRESENT, b"1"), (0x30000 | Flag.PRESENT, b"2")

    events = heard((0x10, b""), first, first, second, count=4)

    assert news(events) == [FOUND, IN, OUT, IN]
    assert (events[1].atr, events[3].atr) == (b"1", b"2")


def test_a_dumb_chip_has_no_atr() -> None:
    """It is told all the same, since its stripe may be read."""
    events = heard((0x10000 | Flag.PRESENT | Flag.MUTE, b"\x3b"), count=2)

    assert events[1].atr == b""


def test_a_reader_that_is_unplugged_takes_its_card_along() -> None:
    """Also when it vanishes between list and wait; another that fits is taken then."""
    inside = (0x10000 | Flag.PRESENT, b"1")

    events = heard(inside, Code.UNKNOWN_READER, [], ["Reader B"], count=5)

    assert news(events) == [FOUND, IN, OUT, LOST, FOUND]
    assert [event.reader for event in events] == ["Reader A"] * 4 + ["Reader B"]


def test_any_other_failure_is_a_lost_service() -> None:
    """Told once, and its return too; the last return ends the script."""
    inside = (0x10000 | Flag.PRESENT, b"1")

    events = heard(inside, 0x80100013 - (1 << 32), 0x8010001D, count=11)

    again = [GONE, BACK, FOUND]
    assert news(events) == [FOUND, IN, OUT, LOST, *again, LOST, *again]


class Failing:
    """A service whose calls fail with a code; ``opens`` contexts minus ``closes`` are left."""

    def __init__(self, connect: Sequence[int] = (), transmit: int = 0) -> None:
        self._connect, self._transmit = deque(connect), transmit
        self.left = 0

    def open(self) -> int:
        """One more."""
        self.left += 1
        return self.left

    def close(self, context: int) -> None:
        """One less."""
        self.left -= 1

    def connect(self, context: int, reader: str) -> Connection:
        """As told."""
        if self._connect and (code := self._connect.popleft()):
            raise PcscError("connect", code)
        return Connection(1, 2)

    def atr(self, connection: Connection) -> bytes:
        """Any."""
        return b"\x3b"

    def transmit(self, connection: Connection, command: bytes) -> bytes:
        """As told; else an answer that is too short."""
        if self._transmit:
            raise PcscError("transmit", self._transmit)
        return b"\x90"

    def disconnect(self, connection: Connection) -> None:
        """Nothing to do."""


def test_a_card_without_power_yet_is_tried_again() -> None:
    """Five times at most, with a pause between; no context is left behind."""
    pauses: list[None] = []

    def connect(service: Any) -> PcscCard:
        return PcscCard.connect(service, "R", 5, lambda: pauses.append(None))

    card = connect(Failing([Code.UNPOWERED] * 4))
    assert (card.style, len(pauses)) == (Style.T1, 4)
    dumb = Failing([Code.UNRESPONSIVE] * 5)
    with pytest.raises(DeviceError, match="hardwareError: the chip does not answer"):
        connect(dumb)
    assert (len(pauses), dumb.left) == (8, 0)
    taken = Failing([Code.SHARING_VIOLATION])
    with pytest.raises(DeviceError, match="another program"):
        connect(taken)
    assert (len(pauses), taken.left) == (8, 0)


@pytest.mark.parametrize(
    ("code", "ends"),
    [
        (Code.REMOVED, Completion.USER_ERROR),
        (Code.RESET, Completion.USER_ERROR),
        (Code.NOT_TRANSACTED, Completion.USER_ERROR),
        (0, Completion.USER_ERROR),
        (0x80100003, Completion.HARDWARE_ERROR),
        (0x8010001E, Completion.HARDWARE_ERROR),
    ],
)
def test_how_an_apdu_may_end(code: int, ends: Completion) -> None:
    """A card that is gone is the kernel's CardGone too; a broken service is something else."""
    service: Any = Failing(transmit=code)
    card = PcscCard.connect(service, "R", 1, lambda: None)

    with pytest.raises(DeviceError) as caught:
        card.transmit(bytes(4))

    assert caught.value.completion is ends
    gone = ends is Completion.USER_ERROR
    assert isinstance(caught.value, CardGoneError) is gone
    assert isinstance(caught.value, CardGone) is gone


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"reader": "("}, "unterminated"),
        ({"connect_tries": "0"}, "at least 1"),
        ({"apdu_timeout_ms": "soon"}, "apdu_timeout_ms"),
        ({"colour": "red"}, "colour"),
        ({"profile": "nobody"}, "no profile nobody"),
    ],
)
def test_options_are_checked(options: dict[str, str], said: str) -> None:
    """Before anything starts; every time and limit is stated."""
    device = Device(driver="pcsc", options={**OPTIONS, **options})
    with pytest.raises(ConfigError, match=said):
        drivers.card_reader(device, Clock())
    with pytest.raises(ConfigError, match="missing required field"):
        read_options({"reader": "x"})


def test_without_pyscard_only_the_chosen_driver_complains(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a sentence that names what to install."""
    monkeypatch.setitem(sys.modules, "smartcard.scard", None)

    with pytest.raises(ConfigError, match=r"pip install 'yinyitong\[card\]'"):
        PcscService()
    with pytest.raises(ConfigError, match="needs pyscard"):
        drivers.card_reader(Device(driver="pcsc", options=OPTIONS), Clock())
