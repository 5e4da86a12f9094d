"""The serial scanner: codes that count, and those that do not."""

import pytest

from terminal_agent.devices.emulator import Fault
from terminal_agent.devices.interfaces import Completion, DeviceError
from terminal_agent.devices.scanner import ScannerOptions, SerialScanner
from terminal_agent.devices.scanner_emulator import ScannerEmulator
from tests.devices.conftest import Bench


class Rig:
    """Driver and emulator, plugged together."""

    def __init__(self, bench: Bench, gap_ms: int = 5000) -> None:
        self.bench = bench
        self.emulator = ScannerEmulator()
        self.cable = bench.plug(self.emulator)
        options = ScannerOptions(
            port=str(bench.folder / "port"),
            baud=9600,
            answer_timeout_ms=600,
            reopen_min_ms=20,
            reopen_max_ms=100,
            poll_ms=60_000,
            debounce_ms=5000,
            gap_ms=gap_ms,
        )
        self.scanner = SerialScanner(options, bench.reactor)
        self.events = bench.start(self.scanner)

    def nothing(self) -> None:
        """Nobody gets a code now."""
        with pytest.raises(DeviceError) as error:
            self.bench.run(self.scanner.read(80))
        assert error.value.completion is Completion.TIME_OUT


@pytest.fixture
def rig(bench: Bench) -> Rig:
    """A scanner."""
    return Rig(bench)


@pytest.mark.parametrize(
    ("code", "encoding"),
    [("134567890123456789", "ascii"), ("就诊卡:0001", "utf-8"), ("就诊卡:0001", "gb18030")],
)
def test_a_code_is_read(rig: Rig, code: str, encoding: str) -> None:
    """Digits, UTF-8 and GB 18030; its text is in no event."""
    waiting = rig.bench.begin(rig.scanner.read(5000))
    rig.emulator.misbehave(Fault.SPLIT)
    rig.emulator.scan(code, encoding)

    assert rig.bench.end_of(waiting).reveal() == code
    assert code not in repr(rig.events)
    assert rig.events[-1].name == "BarcodeReader.ReadEvent"


def test_a_code_scanned_before_does_not_count(rig: Rig) -> None:
    """A payment code held before the glass too early pays nothing."""
    rig.emulator.scan("134567890123456789")
    rig.bench.settle()

    rig.nothing()


def test_one_scan_is_one_code(bench: Bench) -> None:
    """A scanner that repeats itself is heard once, whoever asks next."""
    rig = Rig(bench)
    waiting = bench.begin(rig.scanner.read(5000))
    rig.emulator.scan("111")
    rig.emulator.scan("111")
    assert bench.end_of(waiting).reveal() == "111"
    bench.settle()
    waiting = bench.begin(rig.scanner.read(5000))
    rig.emulator.scan("111")
    rig.emulator.scan("222")
    assert bench.end_of(waiting).reveal() == "222"


@pytest.mark.parametrize("code", ["1" * 129, "1" * 3000, "a\x07b", "", "\ufffd"])
def test_what_is_no_code(rig: Rig, code: str) -> None:
    """Too long, control characters, nothing: dropped; the next code is read."""
    waiting = rig.bench.begin(rig.scanner.read(5000))
    rig.emulator.scan(code)
    rig.emulator.scan("good")
    assert rig.bench.end_of(waiting).reveal() == "good"


def test_half_a_code_is_dropped_after_a_pause(bench: Bench) -> None:
    """It does not become the beginning of the next one."""
    rig = Rig(bench, gap_ms=20)
    waiting = bench.begin(rig.scanner.read(5000))
    rig.emulator.send(b"1345")
    now = bench.reactor.seconds()
    bench.settle()
    bench.until(lambda: bench.reactor.seconds() > now + 0.2)
    rig.emulator.scan("6789")
    assert bench.end_of(waiting).reveal() == "6789"


def test_cancel_and_unplug(rig: Rig) -> None:
    """Both end the wait; the scanner comes back."""
    waiting = rig.bench.begin(rig.scanner.read(5000))
    rig.scanner.cancel()
    with pytest.raises(DeviceError, match="canceled"):
        rig.bench.end_of(waiting)
    waiting = rig.bench.begin(rig.scanner.read(5000))
    rig.cable.unplug()
    with pytest.raises(DeviceError, match="deviceNotReady"):
        rig.bench.end_of(waiting)
    rig.cable.plug()
    rig.bench.until(lambda: rig.scanner.status() == "online")
